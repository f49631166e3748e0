import { array, assert, asyncProperty, constantFrom, integer, nat, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

/** A rank that the test changes. */
function rankOf(isBackground: boolean, isWarm = false) {
  const listeners = new Set<() => void>();
  return {
    isBackground,
    isWarm,
    onRank: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    become(next: boolean, isNowWarm = false) {
      this.isBackground = next;
      this.isWarm = isNowWarm;
      for (const listener of listeners) listener();
    },
    listeners,
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const NEVER = new AbortController().signal;

function open(targetGlobal = 2, replicas = 1) {
  const clock = fakeClock();
  const settings = { targetGlobal, replicas };
  const limiter = new OriginLimiter({
    targetGlobal: () => settings.targetGlobal,
    replicas: () => settings.replicas,
    queueTimeoutMs: 5_000,
    clock,
  });
  const started: string[] = [];
  const task = (name: string, signal = NEVER, bucket = 'one') => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = limiter.run(bucket, signal, async () => {
      started.push(name);
      await promise;
    });
    ended.catch(() => {});
    return { ended, finish: resolve };
  };
  return { clock, limiter, settings, started, task };
}

test('has room while more than half of its slots are free', async () => {
  const { limiter, settings, task } = open(4);
  expect(limiter.hasRoom).toBe(true);
  const first = task('a');
  expect(limiter.hasRoom).toBe(true);
  const second = task('b');
  expect(limiter.hasRoom).toBe(false);
  settings.replicas = 4;
  second.finish();
  await second.ended;
  expect(limiter.hasRoom).toBe(false);
  first.finish();
  await first.ended;
  expect(limiter.hasRoom).toBe(true);
});

test('runs as many tasks as it has slots, and queued ones in order of arrival', async () => {
  const { limiter, started, task } = open();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => task(name));
  await turn();
  expect(started).toEqual(['a', 'b']);
  b!.finish();
  await b!.ended;
  await turn();
  expect(started).toEqual(['a', 'b', 'c']);
  for (const { finish } of [a!, c!, d!]) finish();
  await Promise.all([a!.ended, c!.ended, d!.ended]);
  expect([limiter.running, limiter.queued]).toEqual([0, 0]);
});

test('the live replicas share the cluster’s slots, and each has at least one', () => {
  const { limiter, settings } = open(192, 3);
  expect(limiter.slots).toBe(64);
  settings.replicas = 500;
  expect(limiter.slots).toBe(1);
  settings.replicas = 0;
  expect(limiter.slots).toBe(192);
});

test('a task that waits too long is rejected as overloaded', async () => {
  const { clock, limiter, task } = open(1);
  task('a');
  const late = task('b');
  await clock.advance(5_000);
  await expect(late.ended).rejects.toMatchObject({ code: 'overloaded' });
  expect(limiter.queued).toBe(0);
});

test('a cancelled task leaves the queue without a slot', async () => {
  const { limiter, started, task } = open(1);
  const a = task('a');
  const disconnect = new AbortController();
  const b = task('b', disconnect.signal);
  const c = task('c');
  disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
  await expect(b.ended).rejects.toMatchObject({ code: 'cancelled' });
  a.finish();
  await a.ended;
  await turn();
  expect(started).toEqual(['a', 'c']);
  c.finish();
  await c.ended;
  expect(limiter.running).toBe(0);
});

test('a failed task frees its slot', async () => {
  const { limiter } = open(1);
  await expect(limiter.run('one', NEVER, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(limiter.running).toBe(0);
});

describe('fairness between buckets', () => {
  /** `count` tasks of one bucket, named `<bucket><number>`. */
  const startTasks = (opened: ReturnType<typeof open>, bucket: string, count: number) =>
    Array.from({ length: count }, (_, index) => opened.task(`${bucket}${index}`, NEVER, bucket));

  test('one bucket may use all slots while no other bucket waits', async () => {
    const all = open(4);
    startTasks(all, 'a', 6);
    await turn();
    expect(all.started).toEqual(['a0', 'a1', 'a2', 'a3']);
  });

  test('two buckets that both wait get half of the slots each', async () => {
    const all = open(4);
    const a = startTasks(all, 'a', 20);
    const b = startTasks(all, 'b', 3);
    await turn();
    for (const { finish } of a.slice(0, 3)) finish();
    await turn();
    // The first two freed slots go to bucket b; then each bucket has its half, and a's queue continues.
    expect(all.started.slice(4)).toEqual(['b0', 'b1', 'a4']);
    b[0]!.finish();
    await turn();
    expect(all.started.slice(7)).toEqual(['b2']);
    // No other bucket waits any more.
    b[1]!.finish();
    b[2]!.finish();
    await turn();
    expect(all.started.slice(8)).toEqual(['a5', 'a6']);
  });

  test('an odd number of slots is used in full, and a single slot in turns', async () => {
    const odd = open(3);
    startTasks(odd, 'a', 5);
    startTasks(odd, 'b', 5);
    await turn();
    expect(odd.limiter.running).toBe(3);

    const single = open(1);
    const a = startTasks(single, 'a', 2);
    const b = startTasks(single, 'b', 1);
    await turn();
    a[0]!.finish();
    await turn();
    a[1]!.finish();
    await turn();
    b[0]!.finish();
    await b[0]!.ended;
    expect(single.started).toEqual(['a0', 'a1', 'b0']);
  });

  test('each bucket has its own queue, with its own bound', async () => {
    const all = open(1);
    const a = startTasks(all, 'a', 1 + 1_024);
    await turn();
    expect(all.limiter.queued).toBe(1_024);
    await expect(all.task('too many', NEVER, 'a').ended).rejects.toMatchObject({
      code: 'overloaded',
      retryAfterMs: 1_000,
    });
    const [b] = startTasks(all, 'b', 1);
    await turn();
    expect(all.limiter.queued).toBe(1_025);
    await all.clock.advance(5_000);
    await expect(b!.ended).rejects.toMatchObject({ code: 'overloaded' });
    expect(all.limiter.queued).toBe(0);
    a[0]!.finish();
    await a[0]!.ended;
    expect(all.limiter.running).toBe(0);
    expect(all.clock.pending()).toBe(0);
  });
});

describe('in the background', () => {
  /** Tasks that end with `finish`, or when their signal aborts. */
  function openRanked(slots: number) {
    const opened = open(slots);
    const ranked = (name: string, isBackground = true, bucket = 'one', isWarm = false) => {
      const rank = rankOf(isBackground, isWarm);
      const { promise, resolve: finish } = Promise.withResolvers<void>();
      const run = opened.limiter.run(
        bucket,
        NEVER,
        async (signal) => {
          opened.started.push(name);
          const preempted = Promise.withResolvers<void>();
          signal.addEventListener('abort', () => preempted.reject(signal.reason), { once: true });
          await Promise.race([promise, preempted.promise]);
        },
        rank,
      );
      run.catch(() => {});
      return { ended: run, finish, rank };
    };
    const warm = (name: string) => ranked(name, true, 'one', true);
    return { ...opened, ranked, warm };
  }

  test.for([
    [1, 1],
    [2, 1],
    [3, 2],
    [40, 20],
  ])('of %i slots a prewarm uses %i, so that a client finds a free one', async ([slots = 0, half = 0]) => {
    const { limiter, task, started, warm } = openRanked(slots);
    for (let index = 0; index <= half; index++) warm(`w${index}`);
    await turn();
    expect([limiter.runningInBackground, limiter.queuedInBackground]).toEqual([half, 1]);
    for (let index = half; index < slots; index++) task(`t${index}`);
    await turn();
    expect([started.length, limiter.queued]).toEqual([slots, 0]);
  });

  test('an abandoned task has its turn beside a prewarm, and counts against the same half', async () => {
    const { started, limiter, ranked, warm } = openRanked(4);
    const all = [warm('w0'), warm('w1'), warm('w2')];
    const low = ranked('b');
    await turn();
    expect(started).toEqual(['w0', 'w1']);
    for (const { finish } of all.slice(0, 2)) finish();
    await turn();
    expect([started.slice(2), limiter.runningInBackground]).toEqual([['w2', 'b'], 2]);
    low.finish();
  });

  test('a prewarm is preempted by clients that wait for a second, and continues after them', async () => {
    const { clock, started, task, warm } = openRanked(2);
    warm('w');
    const clients = [task('t0'), task('t1')];
    await clock.advance(1_000);
    expect(started).toEqual(['w', 't0', 't1']);
    for (const { finish } of clients) finish();
    await turn();
    expect(started.slice(3)).toEqual(['w']);
  });

  test('a task that no prewarm waits for any more counts as abandoned', async () => {
    const { started, limiter, warm } = openRanked(40);
    const all = Array.from({ length: 22 }, (_, index) => warm(`w${index}`));
    await turn();
    for (const { rank } of all.slice(20)) rank.become(true);
    for (const { finish } of all.slice(0, 3)) finish();
    await turn();
    expect([started.length, limiter.runningInBackground]).toEqual([22, 19]);
    for (const { rank } of all.slice(3, 20)) rank.become(true);
    expect(limiter.runningInBackground).toBe(19);
  });

  test('a twentieth of the slots is used, at least one, and only while no other task waits', async () => {
    const { clock, limiter, started, task, ranked } = openRanked(40);
    const low = ['b0', 'b1', 'b2'].map((name) => ranked(name));
    await turn();
    expect([started, limiter.runningInBackground, limiter.queuedInBackground]).toEqual([['b0', 'b1'], 2, 1]);
    const tasks = Array.from({ length: 39 }, (_, index) => task(`t${index}`));
    await clock.advance(2_000);
    // Two tasks within their share finish, although another one waits.
    expect([limiter.running, limiter.queued, started.length]).toEqual([40, 1, 40]);
    low[0]!.finish();
    await turn();
    expect(started.slice(40)).toEqual(['t38']);
    tasks[0]!.finish();
    await turn();
    expect(started.slice(41)).toEqual(['b2']);
  });

  test('with few slots a task is preempted after a second, and called again when a slot is free', async () => {
    const { clock, limiter, started, task, ranked } = openRanked(1);
    const low = ranked('b');
    await turn();
    const high = task('t');
    await clock.advance(999);
    expect(started).toEqual(['b']);
    await clock.advance(1);
    expect([started, limiter.running, limiter.queuedInBackground]).toEqual([['b', 't'], 1, 1]);
    high.finish();
    await turn();
    expect(started).toEqual(['b', 't', 'b']);
    low.finish();
    await low.ended;
    expect([limiter.running, low.rank.listeners.size, clock.pending()]).toEqual([0, 0, 0]);
  });

  test('tasks that move to the background beyond their share are preempted, the latest first', async () => {
    const { clock, limiter, started, task, ranked } = openRanked(4);
    const all = ['b0', 'b1', 'b2', 'b3'].map((name) => ranked(name, false));
    task('t0');
    task('t1');
    await turn();
    expect(started).toEqual(['b0', 'b1', 'b2', 'b3']);
    for (const { rank } of all) rank.become(true);
    await clock.advance(1_000);
    expect(started.slice(4)).toEqual(['t0', 't1']);
    expect([limiter.runningInBackground, limiter.queuedInBackground]).toEqual([2, 2]);
  });

  test('a task finishes if those that wait for its slot leave', async () => {
    const { clock, limiter, started, task, ranked } = openRanked(1);
    const low = ranked('b');
    await turn();
    const client = new AbortController();
    task('t', client.signal);
    await clock.advance(900);
    client.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await clock.advance(2_000);
    low.finish();
    await low.ended;
    expect([started, limiter.running, clock.pending()]).toEqual([['b'], 0, 0]);
  });

  test('a task for which a client waits by now leaves the background', async () => {
    const { limiter, started, task, ranked } = openRanked(1);
    const first = task('t0');
    const low = ranked('b');
    task('t1');
    low.rank.become(false);
    await turn();
    expect([limiter.queued, limiter.queuedInBackground]).toEqual([2, 0]);
    low.rank.become(true);
    low.rank.become(false);
    task('t2');
    first.finish();
    await turn();
    expect(started).toEqual(['t0', 't1']);
    expect(limiter.queued).toBe(2);
  });

  test('a task waits for at most ten minutes, and leaves nothing behind when it is cancelled', async () => {
    const { clock, limiter, task, ranked } = openRanked(1);
    task('t');
    const low = ranked('b');
    await clock.advance(599_999);
    expect(limiter.queuedInBackground).toBe(1);
    await clock.advance(1);
    await expect(low.ended).rejects.toMatchObject({ code: 'overloaded' });
    expect([limiter.queuedInBackground, low.rank.listeners.size, clock.pending()]).toEqual([0, 0, 0]);
  });
});

test('no slot is free while a task waits, and no bucket exceeds its half while another bucket waits', async () => {
  const step = tuple(constantFrom('a', 'b', 'c'), nat(2));
  await assert(
    asyncProperty(integer({ min: 1, max: 9 }), array(step, { minLength: 1, maxLength: 60 }), async (slots, steps) => {
      const { limiter } = open(slots);
      const running: { readonly bucket: string; readonly finish: () => void }[] = [];
      const waiting: string[] = [];
      const ends: Promise<void>[] = [];
      const started = (bucket: string): Promise<void> => {
        waiting.splice(waiting.indexOf(bucket), 1);
        const { promise, resolve } = Promise.withResolvers<void>();
        running.push({ bucket, finish: resolve });
        const held = running.filter((other) => other.bucket === bucket).length;
        if (waiting.some((other) => other !== bucket)) expect(held).toBeLessThanOrEqual(Math.ceil(slots / 2));
        return promise;
      };
      for (const [bucket, left] of steps) {
        waiting.push(bucket);
        ends.push(limiter.run(bucket, NEVER, () => started(bucket)));
        if (left === 0) running.shift()?.finish();
        await turn();
        expect([limiter.running, limiter.queued]).toEqual([running.length, waiting.length]);
        expect(running.length === slots || waiting.length === 0).toBe(true);
        expect(running.length).toBeLessThanOrEqual(slots);
      }
      while (running.length > 0) {
        running.shift()?.finish();
        await turn();
      }
      await Promise.all(ends);
    }),
  );
});
