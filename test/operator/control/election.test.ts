import { describe, expect, onTestFinished, test } from 'vitest';
import { runElection, type Term } from '#operator/control/election.ts';
import { LeaseLock } from '#operator/control/lease-lock.ts';
import type { Clock } from '#shared/clock.ts';
import type { KubeClient, RequestOptions } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import { silentLog } from '#shared/log.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

interface LeaseBody {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** One LeaseLock, with the API server's optimistic locking. */
function leaseStore() {
  let live: LeaseBody | undefined;
  let version = 0;
  const save = (body: LeaseBody): LeaseBody => {
    version += 1;
    live = { ...body, metadata: { ...body.metadata, resourceVersion: String(version) } };
    return live;
  };
  return {
    holder: () => live?.spec['holderIdentity'],
    spec: () => live?.spec,
    delete() {
      live = undefined;
    },
    handle(method: string, body: LeaseBody | undefined): LeaseBody {
      if (method === 'POST') {
        if (live !== undefined) throw new KubeError(409, 'AlreadyExists', 'exists');
        return save(body as LeaseBody);
      }
      if (live === undefined) throw new KubeError(404, 'NotFound', 'none');
      if (method === 'GET') return live;
      if (body?.metadata.resourceVersion !== live.metadata.resourceVersion)
        throw new KubeError(409, 'Conflict', 'changed');
      return save(body as LeaseBody);
    },
  };
}

/** A process that can be stopped as by SIGSTOP: its timers wait, the time does not. */
function pausable(clock: FakeClock): Clock & { pause(): void; wake(): void; setDate(aheadMs: number): void } {
  let paused = false;
  let due: (() => void)[] = [];
  let dateOffsetMs = 0;
  const after: Clock['after'] = (ms, callback) => {
    let cancelled = false;
    const cancel = clock.after(ms, () => {
      if (paused) due.push(() => cancelled || callback());
      else callback();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  };
  return {
    now: () => clock.now(),
    date: () => clock.date() + dateOffsetMs,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const cancel = after(ms, resolve);
        signal?.addEventListener('abort', () => {
          cancel();
          reject(signal.reason as Error);
        });
      }),
    setDate(aheadMs) {
      dateOffsetMs = aheadMs;
    },
    pause() {
      paused = true;
    },
    wake() {
      paused = false;
      const waiting = due;
      due = [];
      for (const callback of waiting) callback();
    },
  };
}

function world() {
  const clock = fakeClock();
  const store = leaseStore();
  /** Names of those whose work goes on. */
  const working = new Set<string>();
  let most = 0;

  function candidate(name: string, lead?: (term: Term) => Promise<void>) {
    const own = pausable(clock);
    const stop = new AbortController();
    const network: { state: 'up' | 'refused' | 'hanging' | 'lost-answers' } = { state: 'up' };
    let term: Term | undefined;
    let terms = 0;
    const client: KubeClient = {
      async request<T>(method: string, _path: string, call: RequestOptions = {}): Promise<T> {
        call.signal?.throwIfAborted();
        const timeoutMs = call.timeoutMs ?? 10_000;
        const silence = async (): Promise<never> => {
          await own.sleep(timeoutMs, call.signal);
          throw new KubeError(0, 'Timeout', 'no answer');
        };
        if (network.state === 'refused') throw new KubeError(0, 'Unreachable', 'refused');
        if (network.state === 'hanging') return silence();
        const answer = store.handle(method, call.body as LeaseBody | undefined);
        return network.state === 'lost-answers' && method !== 'GET' ? silence() : (structuredClone(answer) as T);
      },
      watch: () => {
        throw new Error('nothing is watched here');
      },
    };
    const lease = new LeaseLock({
      client,
      clock: own,
      namespace: 'orca-system',
      name: 'orca',
      identity: name,
      signal: stop.signal,
    });
    const observed: boolean[] = [];
    const ended = runElection({
      lease,
      clock: own,
      log: silentLog,
      signal: stop.signal,
      random: () => 0.5,
      observe: (leads) => observed.push(leads),
      async lead(given) {
        term = given;
        terms += 1;
        if (lead !== undefined) return lead(given);
        working.add(name);
        most = Math.max(most, working.size);
        await new Promise((resolve) => {
          given.signal.addEventListener('abort', resolve, { once: true });
        });
        working.delete(name);
        return undefined;
      },
    });
    const failure = ended.then(
      () => undefined,
      (error: unknown) => error,
    );
    onTestFinished(() => stop.abort(new Error('the test is over')));
    return {
      clock: own,
      network,
      stop,
      ended,
      failure,
      observed,
      terms: () => terms,
      /** A write of the last term, at the moment at which it would leave. */
      write: () => term?.assertHeld(),
      kill() {
        network.state = 'hanging';
        own.pause();
        working.delete(name);
      },
    };
  }
  return { clock, store, working, candidate, most: () => most };
}

describe('the lease', () => {
  test('is made by the first who asks, with the words that others read', async () => {
    const { clock, store, candidate, working } = world();
    candidate('a');
    await clock.advance(0);
    expect([...working]).toEqual(['a']);
    expect(store.spec()).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
  });

  test('stays with its holder for as long as that renews it', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    const second = candidate('b');
    await clock.advance(600_000);
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
    expect(second.observed).not.toContain(true);
    expect(store.spec()).toMatchObject({ leaseTransitions: 0, renewTime: '2026-01-01T00:10:00.000000Z' });
  });

  test('goes to one of the others within 20 s of the death of its holder, and to one only', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    candidate('c');
    await clock.advance(31_000);
    first.kill();
    await clock.advance(13_000);
    expect(working.size).toBe(0);
    await clock.advance(6000);
    expect(working.size).toBe(1);
    expect(store.spec()).toMatchObject({ leaseTransitions: 1 });
    await clock.advance(60_000);
    expect(working.size).toBe(1);
  });

  test('goes to another within 2 s of a clean stop, after the work has ended', async () => {
    const { clock, store, candidate, working, most } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    await clock.advance(30_000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(0);
    await first.ended;
    expect(store.holder()).toBe('');
    await clock.advance(2000);
    expect([...working]).toEqual(['b']);
    expect(most()).toBe(1);
  });

  test('of a process that starts again under the same name is not its own: another identity waits', async () => {
    const { clock, candidate } = world();
    const first = candidate('pod_1');
    await clock.advance(10_000);
    first.kill();
    const again = candidate('pod_2');
    await clock.advance(10_000);
    expect(again.terms()).toBe(0);
    await clock.advance(8000);
    expect(again.terms()).toBe(1);
  });

  test('that somebody deletes is made again by its holder', async () => {
    const { clock, store, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(10_000);
    store.delete();
    await clock.advance(2000);
    expect(store.holder()).toBe('a');
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
  });
});

describe('a holder', () => {
  test.for(['refused', 'hanging'] as const)(
    'that can not reach the API server (%s) ends its work after 10 s, before another begins, and comes back',
    async (state) => {
      const { clock, candidate, working, most } = world();
      const first = candidate('a');
      await clock.advance(0);
      candidate('b');
      await clock.advance(20_000);
      first.network.state = state;
      await clock.advance(7900);
      expect([...working]).toEqual(['a']);
      await clock.advance(2200);
      expect(working.size).toBe(0);
      expect(() => first.write()).toThrow('not renewed in time');
      await clock.advance(10_000);
      expect([...working]).toEqual(['b']);
      first.network.state = 'up';
      await clock.advance(60_000);
      expect([...working]).toEqual(['b']);
      expect(most()).toBe(1);
      expect(first.observed.at(-1)).toBe(false);
    },
  );

  test('that loses one renewal keeps its term', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.network.state = 'hanging';
    await clock.advance(4000);
    first.network.state = 'up';
    await clock.advance(60_000);
    expect([...working]).toEqual(['a']);
    expect(first.terms()).toBe(1);
  });

  test('whose renewals arrive while the answers are lost counts them as failed, and finds its own record again', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.network.state = 'lost-answers';
    await clock.advance(12_000);
    expect(() => first.write()).toThrow('not renewed in time');
    first.network.state = 'up';
    await clock.advance(6000);
    expect(store.holder()).toBe('a');
    expect(first.terms()).toBe(2);
    expect(() => first.write()).not.toThrow();
  });

  test('that was frozen writes nothing when it wakes, not even before it knows why', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    await clock.advance(0);
    candidate('b');
    await clock.advance(20_000);
    first.clock.pause();
    await clock.advance(30_000);
    expect([...working].toSorted()).toEqual(['a', 'b']);
    // The first thing that it does: its timers have not run yet.
    expect(() => first.write()).toThrow('not renewed in time');
    first.clock.wake();
    await clock.advance(0);
    expect([...working]).toEqual(['b']);
    expect(() => first.write()).toThrow('not renewed in time');
    await clock.advance(60_000);
    expect([...working]).toEqual(['b']);
  });

  test('may write until 10 s after it sent the last good renewal, and no longer', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.pause();
    await clock.advance(9999);
    expect(() => first.write()).not.toThrow();
    await clock.advance(1);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('whose machine slept, so that only the date has gone on, writes nothing', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.setDate(10_000);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('whose date is set back does not hold the lease any longer for it', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(20_000);
    first.clock.setDate(-3_600_000);
    first.clock.pause();
    await clock.advance(10_000);
    expect(() => first.write()).toThrow('not renewed in time');
  });

  test('whose work does not end is given up after 5 s: the process is to end', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a', () => new Promise(() => {}));
    await clock.advance(20_000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(4999);
    expect(store.holder()).toBe('a');
    await clock.advance(1);
    expect(await first.failure).toMatchObject({ message: expect.stringContaining('still goes on') as string });
    // Not released: it may still do what nobody else should do meanwhile.
    expect(store.holder()).toBe('a');
  });

  test('whose work fails says so to the one who started it, and releases the lease', async () => {
    const { clock, store, candidate } = world();
    const first = candidate('a', () => Promise.reject(new Error('boom')));
    await clock.advance(0);
    expect(await first.failure).toMatchObject({ message: 'the work failed', cause: { message: 'boom' } });
    expect(store.holder()).toBe('');
  });
});

describe('a candidate', () => {
  test('waits while nobody can be asked, and begins when somebody can', async () => {
    const { clock, candidate, working } = world();
    const first = candidate('a');
    first.network.state = 'refused';
    await clock.advance(60_000);
    first.network.state = 'up';
    await clock.advance(2000);
    expect([...working]).toEqual(['a']);
  });

  test('ends with the signal, leaving no timer', async () => {
    const { clock, candidate } = world();
    const first = candidate('a');
    await clock.advance(5000);
    first.stop.abort(new Error('SIGTERM'));
    await clock.advance(0);
    await first.ended;
    expect(clock.pending()).toBe(0);
  });
});
