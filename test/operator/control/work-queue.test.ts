import { describe, expect, onTestFinished, test } from 'vitest';
import { WorkQueue, type WorkQueueOptions } from '#operator/control/work-queue.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

function open(options: Partial<WorkQueueOptions> = {}): {
  queue: WorkQueue;
  clock: FakeClock;
  take: () => Promise<string | undefined>;
} {
  const clock = fakeClock();
  const stop = new AbortController();
  const queue = new WorkQueue({ clock, random: () => 1, ...options });
  onTestFinished(() => stop.abort());
  return { queue, clock, take: () => queue.next(stop.signal) };
}

describe('a work queue', () => {
  test('returns each key once, in the order of the first add', async () => {
    const { queue, take } = open();
    for (const key of ['a', 'b', 'a']) queue.add(key);
    expect([await take(), await take(), queue.depth]).toEqual(['a', 'b', 0]);
  });

  test('returns changed keys before rechecks', async () => {
    const { queue, clock, take } = open();
    queue.addAfter('a', 1000);
    queue.addAfter('b', 1000);
    queue.addAfter('c', 1000);
    await clock.advance(1000);
    queue.add('new');
    queue.add('c');
    expect(queue.depth).toBe(4);
    expect([await take(), await take(), await take()]).toEqual(['new', 'c', 'a']);
  });

  test('returns at most 25 rechecks a second, whatever the number of workers', async () => {
    const { queue, clock, take } = open();
    for (const key of ['a', 'b', 'c']) queue.add(key, 'due');
    const taken: (string | undefined)[] = [];
    for (let worker = 0; worker < 4; worker++) void take().then((key) => taken.push(key));
    await clock.advance(0);
    expect(taken).toEqual(['a']);
    await clock.advance(39);
    expect(taken).toEqual(['a']);
    await clock.advance(1);
    expect(taken).toEqual(['a', 'b']);
    queue.add('new');
    await clock.advance(0);
    expect(taken).toEqual(['a', 'b', 'new']);
    await clock.advance(40);
    expect(taken).toEqual(['a', 'b', 'new', 'c']);
  });

  test('returns a key that changed while in progress before rechecks', async () => {
    const { queue, take } = open();
    queue.add('a');
    await take();
    queue.add('a', 'due');
    queue.add('b', 'due');
    queue.add('a');
    queue.done('a');
    expect([await take(), await take()]).toEqual(['a', 'b']);
  });

  test('wakes a waiting worker', async () => {
    const { queue, take } = open();
    const taken = take();
    queue.add('a');
    expect(await taken).toBe('a');
  });

  test('gives a key to one worker at a time; an add in progress is queued after done', async () => {
    const { queue, take } = open();
    queue.add('a');
    await take();
    queue.add('a');
    queue.add('a');
    queue.add('b');
    expect(await take()).toBe('b');
    const next = take();
    queue.done('a');
    expect(await next).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  test('keeps the earliest of several delays for a key', async () => {
    const { queue, clock } = open();
    queue.addAfter('a', 5000);
    queue.addAfter('a', 1000);
    queue.addAfter('a', 3000);
    await clock.advance(999);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(queue.depth).toBe(1);
    expect(clock.pending()).toBe(0);
  });

  test('doubles the backoff after each consecutive failure, and resets it after a success', async () => {
    const { queue, clock, take } = open();
    async function pauseMs(): Promise<number> {
      const startMs = clock.now();
      queue.retry('a');
      const taken = take();
      let got = false;
      void taken.then(() => (got = true));
      while (!got) await clock.advance(5);
      queue.done('a');
      return clock.now() - startMs;
    }
    expect([await pauseMs(), await pauseMs(), await pauseMs()]).toEqual([5, 10, 20]);
    queue.forget('a');
    expect(await pauseMs()).toBe(5);
  });

  test('limits the backoff to five minutes', async () => {
    const { queue, clock } = open();
    for (let failures = 0; failures < 100; failures++) queue.retry('a');
    await clock.advance(5);
    queue.close();
    queue.retry('a');
    await clock.advance(5 * 60_000);
    expect(queue.depth).toBe(1);
  });

  test('jitters the backoff down to half of it', async () => {
    const { queue, clock } = open({ random: () => 0 });
    for (let failures = 0; failures < 4; failures++) queue.retry(`warm-up`);
    queue.close();
    queue.retry('warm-up');
    await clock.advance(40);
    expect(queue.depth).toBe(1);
  });

  test('is bounded: keys beyond the limit are dropped and counted', () => {
    const { queue } = open({ maxKeys: 2 });
    for (const key of ['a', 'b', 'c', 'a']) queue.add(key);
    expect([queue.depth, queue.dropped]).toEqual([2, 1]);
  });

  test('releases waiting workers when the signal aborts', async () => {
    const queue = new WorkQueue({ clock: fakeClock() });
    const stop = new AbortController();
    const taken = queue.next(stop.signal);
    stop.abort();
    expect(await taken).toBeUndefined();
    expect(await queue.next(stop.signal)).toBeUndefined();
  });

  test('wakes another worker if the woken one has stopped', async () => {
    const { queue, take } = open();
    const stop = new AbortController();
    const stopped = queue.next(stop.signal);
    const other = take();
    stop.abort();
    queue.add('a');
    expect([await stopped, await other]).toEqual([undefined, 'a']);
  });

  test('reports queue time and processing time', async () => {
    const seen: string[] = [];
    const { queue, clock, take } = open({
      observe: { taken: (ms) => seen.push(`waited ${ms}`), finished: (ms) => seen.push(`worked ${ms}`) },
    });
    queue.add('a');
    await clock.advance(300);
    await take();
    await clock.advance(70);
    expect(queue.activeMs()).toEqual([70]);
    queue.done('a');
    expect(seen).toEqual(['waited 300', 'worked 70']);
  });
});
