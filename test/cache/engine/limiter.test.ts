import { expect, test } from 'vitest';
import { OriginLimiter } from '#cache/engine/limiter.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

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
  const task = (name: string, signal = NEVER) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = limiter.run(signal, async () => {
      started.push(name);
      await promise;
    });
    ended.catch(() => {});
    return { ended, finish: resolve };
  };
  return { clock, limiter, settings, started, task };
}

test('runs as many as it has slots, the others in the order they came', async () => {
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

test('the cluster’s slots are shared by the live replicas, and there is always one', () => {
  const { limiter, settings } = open(192, 3);
  expect(limiter.slots).toBe(64);
  settings.replicas = 500;
  expect(limiter.slots).toBe(1);
  settings.replicas = 0;
  expect(limiter.slots).toBe(192);
});

test('who waits too long is told to come back', async () => {
  const { clock, limiter, task } = open(1);
  task('a');
  const late = task('b');
  await clock.advance(5_000);
  await expect(late.ended).rejects.toMatchObject({ code: 'overloaded' });
  expect(limiter.queued).toBe(0);
});

test('who leaves the queue takes no slot', async () => {
  const { limiter, started, task } = open(1);
  const a = task('a');
  const gone = new AbortController();
  const b = task('b', gone.signal);
  const c = task('c');
  gone.abort(new OrcaError('cancelled', 'gone'));
  await expect(b.ended).rejects.toMatchObject({ code: 'cancelled' });
  a.finish();
  await a.ended;
  await turn();
  expect(started).toEqual(['a', 'c']);
  c.finish();
  await c.ended;
  expect(limiter.running).toBe(0);
});

test('a task that fails gives its slot back', async () => {
  const { limiter } = open(1);
  await expect(limiter.run(NEVER, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(limiter.running).toBe(0);
});
