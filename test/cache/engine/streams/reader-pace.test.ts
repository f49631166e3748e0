/** Readers that stop: what is held for them is given back, and they get right bytes when they go on. */
import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  reopenEngines,
  type Engines,
} from '#test/support/engines.ts';

interface Reader {
  readonly pace: ReaderPace;
  readonly take: () => Promise<Piece>;
  readonly rest: () => Promise<Buffer>;
}

/** Has its first piece in hand. */
async function startReader(engines: Engines, key: string): Promise<Reader & { readonly first: Piece }> {
  const pace = new ReaderPace();
  const result = await engines.replicas[0]!.engine.read(readRequest(key, { pace }));
  const take = async () => {
    const { value } = await result.body.next();
    if (value === undefined) throw new Error('the body has ended');
    return value;
  };
  return { pace, take, first: await take(), rest: () => collect(result) };
}

async function warm(chunkBytes: number, readahead = 0, sizeBytes = 24 * MIB) {
  const options = { chunkBytes, readahead, budgetBytes: 128 * MIB };
  const filled = openEngines(options);
  const body = patternBytes(sizeBytes);
  filled.origin.put('far-models', 'a', body);
  await readAll(filled.replicas[0]!.engine, readRequest('a'));
  await filled.replicas[0]!.engine.idle();
  // What nobody has read lately comes through windows, and not into memory.
  const engines = reopenEngines(filled, options);
  const { engine } = engines.replicas[0]!;
  expect(engine.memory.usedBytes).toBe(0);
  return { engines, engine, body };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what was fetched from the cachestore for a reader that stops is given back, but for what its socket has', async () => {
  const { engines, engine, body } = await warm(8 * MIB);
  const { pace, take, first, rest } = await startReader(engines, 'a');
  const second = await take();
  await turn();
  expect(engine.memory.usedBytes).toBeGreaterThanOrEqual(2 * MIB);
  pace.stalled();
  expect(engine.memory.usedBytes).toBe(2 * MIB);
  const got = Buffer.concat([first.bytes, second.bytes]);
  first.release();
  second.release();
  expect(engine.memory.usedBytes).toBe(0);
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  await turn();
  expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
});

test('a reader that is slow goes on in small segments, and stops again as often as it likes', async () => {
  const { engines, engine, body } = await warm(8 * MIB);
  const { pace, take, first, rest } = await startReader(engines, 'a');
  pace.stalled();
  const parts = [Buffer.from(first.bytes)];
  first.release();
  for (let i = 0; i < 20; i++) {
    const piece = await take();
    expect(piece.bytes.length).toBeLessThanOrEqual(MIB / 16);
    parts.push(Buffer.from(piece.bytes));
    // Eight segments of 64 KiB while memory is plenty, and what its socket has.
    expect(engine.memory.usedBytes).toBeLessThanOrEqual((9 * MIB) / 16);
    if (i % 3 === 0) pace.stalled();
    piece.release();
  }
  expect(Buffer.concat([...parts, await rest()]).equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
});

test('what was read ahead is given back too, and nothing is read ahead for one that is slow', async () => {
  const { engines, engine, body } = await warm(2 * MIB, 8);
  const { pace, first, rest } = await startReader(engines, 'a');
  await turn();
  expect(engine.memory.usedBytes).toBeGreaterThan(8 * MIB);
  pace.stalled();
  await turn();
  expect(engine.memory.usedBytes).toBe(MIB);
  const reads = engines.store.counts.reads;
  const got = Buffer.from(first.bytes);
  first.release();
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  // One for each chunk, the first in two.
  expect(engines.store.counts.reads - reads).toBe(12);
});

test('a fill goes on for a reader that stops, and is not made again', async () => {
  const engines = openEngines({ chunkBytes: 8 * MIB, readahead: 2, budgetBytes: 128 * MIB });
  const body = patternBytes(24 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { pace, first, rest } = await startReader(engines, 'a');
  pace.stalled();
  const { engine } = engines.replicas[0]!;
  await engine.idle();
  engine.memoryTier.evict(Number.POSITIVE_INFINITY);
  pace.stalled();
  await turn();
  // Its socket's, and nothing else.
  expect(engine.memory.usedBytes).toBe(MIB);
  const got = Buffer.from(first.bytes);
  first.release();
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
});

test('a waiter that lags goes on from the cachestore when its fill has left memory', async () => {
  const engines = openEngines({ chunkBytes: 8 * MIB, budgetBytes: 32 * MIB, readahead: 0 });
  const body = patternBytes(8 * MIB, 1);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  const { first, rest } = await startReader(engines, 'a');
  await engine.idle();
  expect(engine.memoryTier.sizeBytes).toBe(8 * MIB);
  // Three more chunks are all that the fills' share holds.
  for (const name of ['b', 'c', 'd']) {
    engines.origin.put('far-models', name, patternBytes(8 * MIB, 2));
    await readAll(engine, readRequest(name));
    await engine.idle();
  }
  const reads = engines.store.counts.reads;
  const got = Buffer.from(first.bytes);
  first.release();
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  expect(engines.store.counts.reads).toBe(reads + 1);
  expect(engines.origin.counts.bytes).toBe(4 * 8 * MIB);
});

test('a socket may take nothing for 300 s, and for 30 s while the cachestore is away', async () => {
  const clock = fakeClock();
  const engines = openEngines({ clock, readahead: 0 });
  const { engine } = engines.replicas[0]!;
  expect(engine.stallLimitMs()).toBe(300_000);
  engines.store.down = new OrcaError('store_unavailable', 'away');
  for (let i = 0; i < 12; i++) {
    engines.origin.put('far-models', `o${i}`, patternBytes(1_000, i));
    await readAll(engine, readRequest(`o${i}`));
    await engine.idle();
  }
  expect(engine.store.breaker.state).toBe('open');
  expect(engine.stallLimitMs()).toBe(30_000);
});
