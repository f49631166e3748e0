import { describe, expect, onTestFinished, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

const down = new OrcaError('store_unavailable', 'down');

function open(budgetMib = 32) {
  const clock = fakeClock();
  const engines = openEngines({ clock, budgetBytes: budgetMib * MIB, readahead: 0 });
  const { engine, counts } = engines.replicas[0]!;
  const ended = new AbortController();
  const running = engine.run(ended.signal);
  onTestFinished(async () => {
    ended.abort();
    await running;
  });
  for (let i = 0; i < 14; i++) engines.origin.put('far-models', `o${i}`, patternBytes(MIB, i));
  const read = async (i: number) => {
    const { bytes } = await readAll(engine, readRequest(`o${i}`));
    expect(bytes.equals(patternBytes(MIB, i))).toBe(true);
    await engine.idle();
  };
  return { clock, engine, counts, store: engines.store, origin: engines.origin, read };
}

describe('while the cachestore is down', () => {
  test('a chunk stays readable without the origin, and is committed when the store is available again', async () => {
    const { clock, engine, store, origin, read } = open();
    store.down = down;
    await read(0);
    expect([engine.outbox.count, store.paths().length]).toEqual([1, 0]);
    await read(0);
    expect(origin.counts.reads).toBe(1);
    store.down = undefined;
    await clock.advance(40_000);
    expect([engine.outbox.count, store.paths().length]).toEqual([0, 1]);
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  });

  test('waiting commits use at most a quarter of the budget; the oldest is dropped', async () => {
    const { clock, engine, store, counts, read } = open(16);
    store.down = down;
    for (let i = 0; i < 6; i++) await read(i);
    expect(engine.outbox.sizeBytes).toBe(4 * MIB);
    expect(counts.fills).toEqual({ uncommitted: 2 });
    store.down = undefined;
    await clock.advance(120_000);
    expect(store.paths()).toHaveLength(4);
  });

  test('after ten failures the circuit breaker refuses commits at once, and its closing wakes the outbox', async () => {
    const { clock, engine, store, read } = open();
    store.down = down;
    for (let i = 0; i < 6; i++) await read(i);
    expect(engine.store.breaker.state).toBe('open');
    const before = store.counts.commits;
    await read(7);
    expect(store.counts.commits).toBe(before);
    store.down = undefined;
    await clock.advance(120_000);
    expect(engine.store.breaker.state).toBe('closed');
    expect(engine.outbox.count).toBe(0);
    expect(store.paths()).toHaveLength(7);
  });

  test('waiting commits are flushed at shutdown, and those that fail release their memory', async () => {
    const { engine, store, read } = open();
    store.inject({ on: 'commit', error: down, times: 3 });
    // Three failures: one per fill, and the first flush. The second flush succeeds.
    for (let i = 0; i < 2; i++) await read(i);
    expect(engine.outbox.count).toBe(2);
    await engine.flush(new AbortController().signal);
    expect(engine.outbox.count).toBe(0);
    expect(store.paths()).toHaveLength(1);
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  });
});

describe('a commit that is being retried', () => {
  async function retrying(budgetMib?: number) {
    const opened = open(budgetMib);
    const { clock, engine, store, read } = opened;
    store.inject({ on: 'commit', error: down });
    await read(0);
    store.commitGate.hold();
    await clock.advance(2_000);
    await store.commitGate.reached();
    expect(engine.outbox.count).toBe(1);
    return opened;
  }

  test('is not repeated by the flush at shutdown', async () => {
    const { clock, engine, store, counts } = await retrying();
    const flushed = engine.flush(new AbortController().signal);
    await clock.advance(0);
    expect(store.commitGate.waiting).toBe(1);
    store.commitGate.release();
    await flushed;
    expect([store.counts.commits, store.paths().length, engine.outbox.count]).toEqual([2, 1, 0]);
    expect(counts.fills).toEqual({ committed: 1 });
  });

  test('keeps its bytes, however many commits wait behind it', async () => {
    const { clock, engine, store, read } = await retrying(16);
    store.down = down;
    for (let i = 1; i < 8; i++) {
      const reading = read(i);
      await clock.advance(40_000);
      await reading;
    }
    expect(engine.outbox.sizeBytes).toBeLessThanOrEqual(4 * MIB);
    store.down = undefined;
    store.commitGate.release();
    await clock.advance(120_000);
    expect(store.paths()).toHaveLength(4);
    expect(store.counts.lost).toBe(0);
  });
});

describe('while commits take long', () => {
  test('they hold at most a quarter of the budget, and every read is served', async () => {
    const { clock, engine, store, counts } = open(10);
    store.commitGate.hold();
    for (let i = 0; i < 14; i++) {
      const reading = readAll(engine, readRequest(`o${i}`));
      // Until the store counts as slow.
      await clock.advance(4_000);
      const { bytes } = await reading;
      expect(bytes.equals(patternBytes(MIB, i))).toBe(true);
      expect(engine.outbox.sizeBytes).toBeLessThanOrEqual(2.5 * MIB);
    }
    await clock.advance(1_000);
    expect([store.commitGate.waiting, engine.outbox.count > 2]).toEqual([2, true]);
    store.commitGate.release();
    await clock.advance(1_000);
    // Eight chunks fit into memory.
    expect([engine.outbox.count, engine.outbox.sizeBytes, store.paths().length]).toEqual([0, 0, 8]);
    expect(counts.fills).toEqual({ committed: 8, uncommitted: 6 });
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  });

  test('a chunk that waits for its commit is read from memory, and evicted under pressure', async () => {
    const { clock, engine, store, origin } = open(8);
    store.commitGate.hold();
    for (let i = 0; i < 5; i++) await readAll(engine, readRequest(`o${i}`));
    await readAll(engine, readRequest('o4'));
    expect(origin.counts.reads).toBe(5);
    const leasing = engine.memory.lease(5 * MIB, 'fill', 'new', new AbortController().signal);
    await clock.advance(4_000);
    (await leasing).close();
    store.commitGate.release();
    await clock.advance(1_000);
    expect(store.paths()).toHaveLength(2);
    expect(engine.outbox.count).toBe(0);
  });

  test('fills wait for the memory of postponed chunks while commits make progress, and none of them stays uncommitted', async () => {
    const { clock, engine, store, origin, counts } = open(8);
    store.commitGate.hold();
    for (let i = 0; i < 7; i++) await readAll(engine, readRequest(`o${i}`));
    const reading = readAll(engine, readRequest('o7'));
    await clock.advance(1_900);
    expect([origin.counts.reads, engine.outbox.count]).toEqual([7, 7]);
    store.commitGate.release();
    await clock.advance(0);
    expect((await reading).bytes.equals(patternBytes(MIB, 7))).toBe(true);
    await clock.advance(1_000);
    expect(counts.fills).toEqual({ committed: 8 });
    expect([store.paths().length, origin.counts.reads, engine.outbox.count]).toEqual([8, 8, 0]);
  });

  test('a chunk that is larger than the quarter is committed alone', async () => {
    const { clock, engine, store } = open(3);
    await readAll(engine, readRequest('o0'));
    await clock.advance(0);
    expect([store.paths().length, engine.outbox.count]).toEqual([1, 0]);
  });

  test('postponed commits are flushed at shutdown', async () => {
    const { clock, engine, store } = open(8);
    store.commitGate.hold();
    for (let i = 0; i < 6; i++) await readAll(engine, readRequest(`o${i}`));
    await clock.advance(0);
    const flushed = engine.flush(new AbortController().signal);
    store.commitGate.release();
    await flushed;
    expect([store.paths().length, engine.outbox.count]).toEqual([6, 0]);
  });
});

test('a permanent refusal is not retried', async () => {
  const { clock, engine, store, counts, read } = open();
  store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'denied', { status: 403 }) });
  await read(0);
  await clock.advance(100_000);
  expect([engine.outbox.count, store.counts.commits]).toEqual([0, 1]);
  expect(counts.fills).toEqual({ uncommitted: 1 });
});

test.for([408, 409, 412, 429])('a refusal with status %i is transient: the commit is retried', async (status) => {
  const { clock, engine, store, read } = open();
  store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'not now', { status }) });
  await read(0);
  expect(engine.outbox.count).toBe(1);
  await clock.advance(2_000);
  expect([engine.outbox.count, store.paths().length]).toEqual([0, 1]);
});

test('no commit is tried for 30 s after the store was full', async () => {
  const { clock, engine, store, read } = open();
  const cause = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  store.inject({ on: 'commit', error: new OrcaError('store_unavailable', 'full', { cause }) });
  await read(0);
  await read(1);
  expect(store.counts.commits).toBe(1);
  await clock.advance(29_000);
  expect(store.counts.commits).toBe(1);
  await clock.advance(60_000);
  expect(store.paths()).toHaveLength(2);
  expect(engine.outbox.count).toBe(0);
});
