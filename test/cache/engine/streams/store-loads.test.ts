/** Chunks that are read again: concurrent readers share one load of each from the cachestore. */
import { describe, expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { turns } from '#test/support/engine-checks.ts';
import {
  collect,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
  reopenEngines,
  type EnginesOptions,
} from '#test/support/engines.ts';

const READERS = 50;

/** An object in the cachestore that was read lately, and is not in memory. */
async function readLately(sizeBytes: number, chunkBytes = 2 * MIB) {
  const engines = openEngines({ chunkBytes, budgetBytes: 64 * MIB });
  const body = patternBytes(sizeBytes);
  engines.origin.put('far-models', 'a', body);
  const { engine, counts } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  engine.memoryTier.evict(Number.POSITIVE_INFINITY);
  const { store } = engines;
  store.counts.reads = store.counts.bytesRead = 0;
  const [path = ''] = store.paths();
  const read = async (range?: string) => (await readAll(engine, readRequest('a', { range }))).bytes;
  /** No load is in flight, and nothing is leased but what the memory tier keeps. */
  const expectWhole = async () => {
    await turns(1);
    expect(engine.storeLoads.count).toBe(0);
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  };
  return { engine, counts, store, origin: engines.origin, body, path, read, expectWhole };
}

test('concurrent readers load each chunk once, and it stays in memory', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(5 * MIB);
  for (const bytes of await Promise.all(Array.from({ length: READERS }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  expect(store.counts).toMatchObject({ reads: 3, bytesRead: body.length });
  expect(engine.memoryTier.count).toBe(3);
  await expectWhole();
});

test('a range joins a load that is near its start, and is read separately otherwise', async () => {
  const { store, body, read, expectWhole } = await readLately(8 * MIB, 8 * MIB);
  store.readGate.hold();
  const whole = read();
  await store.readGate.reached();
  const near = read('bytes=1000-200000');
  const far = read(`bytes=${4 * MIB}-${4 * MIB + 9}`);
  await store.readGate.reached(2);
  store.readGate.release();
  expect((await near).equals(body.subarray(1_000, 200_001))).toBe(true);
  expect((await far).equals(body.subarray(4 * MIB, 4 * MIB + 10))).toBe(true);
  expect((await whole).equals(body)).toBe(true);
  expect(store.counts.reads).toBe(2);
  await expectWhole();
});

test('a corrupt chunk is sent to no reader, and repaired once', async () => {
  const { counts, store, origin, body, path, read, expectWhole } = await readLately(2 * MIB);
  store.flip(path, MIB + 5);
  const before = origin.counts.reads;
  for (const bytes of await Promise.all(Array.from({ length: READERS }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  expect(origin.counts.reads - before).toBe(1);
  expect(counts.fallThroughs['store/chunk_bad']).toBeGreaterThan(0);
  await expectWhole();
});

test('when the store fails during the load, each reader continues from its own offset', async () => {
  const { engine, store, body, path, read, expectWhole } = await readLately(2 * MIB);
  store.inject({ on: 'read', path, afterBytes: MIB + 7, error: new OrcaError('store_unavailable', 'reset') });
  for (const bytes of await Promise.all(Array.from({ length: READERS }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  await engine.idle();
  await expectWhole();
});

test('a load is cancelled when its last reader leaves, and its memory is released', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(2 * MIB);
  store.readGate.hold();
  const disconnect = new AbortController();
  const reads = [1, 2].map(() => engine.read(readRequest('a', { signal: disconnect.signal })));
  await store.readGate.reached();
  expect(engine.memory.usedBytes).toBe(2 * MIB);
  disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
  for (const result of await Promise.allSettled(reads)) expect(result.status).toBe('rejected');
  await expectWhole();
  expect(engine.memory.usedBytes).toBe(0);
  store.readGate.release();
  expect((await read()).equals(body)).toBe(true);
});

test('a stalled reader holds no memory, and does not delay other readers', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(4 * MIB, 4 * MIB);
  const pace = new ReaderPace();
  store.readGate.hold();
  const starting = engine.read(readRequest('a', { pace }));
  await store.readGate.reached();
  expect(engine.storeLoads.count).toBe(1);
  pace.stalled();
  expect(engine.storeLoads.count).toBe(0);
  store.readGate.release();
  const stalled = await starting;
  expect((await read()).equals(body)).toBe(true);
  expect((await collect(stalled)).equals(body)).toBe(true);
  await expectWhole();
});

test('a load stays joinable and cannot be evicted until its last reader is done', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(4 * MIB, 4 * MIB);
  const steady = await engine.read(readRequest('a'));
  const { value: first } = await steady.body.next();
  await turns(1);
  expect([engine.storeLoads.count, engine.memoryTier.count]).toEqual([1, 0]);
  expect((await read()).equals(body)).toBe(true);
  engine.memoryTier.evict(Number.POSITIVE_INFINITY);
  const got = Buffer.from(first!.bytes);
  first!.release();
  expect(Buffer.concat([got, await collect(steady)]).equals(body)).toBe(true);
  expect(store.counts.reads).toBe(1);
  await expectWhole();
  expect(engine.memoryTier.count).toBe(1);
});

describe('a chunk that is read from the cachestore again', () => {
  async function openStored(options: EnginesOptions & { readonly sizeBytes?: number }) {
    const engines = openEngines({ readahead: 0, ...options });
    const body = patternBytes(options.sizeBytes ?? 8 * MIB);
    engines.origin.put('far-models', 'a', body);
    const { engine } = engines.replicas[0]!;
    await readAll(engine, readRequest('a'));
    await engine.idle();
    const { engine: reopened } = reopenEngines(engines, { readahead: 0, ...options }).replicas[0]!;
    const read = async (range?: string) => {
      const { bytes } = await readAll(reopened, readRequest('a', { range }));
      await turns(1);
      expect(reopened.memory.usedBytes).toBe(reopened.memoryTier.sizeBytes);
      return bytes;
    };
    return { engine: reopened, store: engines.store, body, read };
  }

  test('is admitted to memory when it is read whole for the second time', async () => {
    const { engine, store, body, read } = await openStored({ chunkBytes: 8 * MIB });
    await read();
    expect(engine.memoryTier.count).toBe(0);
    expect((await read()).equals(body)).toBe(true);
    expect(engine.memoryTier.sizeBytes).toBe(8 * MIB);
    const reads = store.counts.reads;
    expect((await read()).equals(body)).toBe(true);
    expect((await read('bytes=1000-2000')).equals(body.subarray(1000, 2001))).toBe(true);
    expect(store.counts.reads).toBe(reads);
  });

  test('is not admitted when only a range of it is read: nothing is fetched for memory alone', async () => {
    const { engine, store, read } = await openStored({ chunkBytes: 8 * MIB });
    for (let i = 0; i < 4; i++) await read('bytes=0-65535');
    expect([engine.memoryTier.count, store.counts.bytesRead]).toEqual([0, 4 * 65_536]);
  });

  test('is not admitted without CRCs, by which it could be verified', async () => {
    const { engine, store, body, read } = await openStored({ chunkBytes: 8 * MIB });
    const [path = ''] = store.paths();
    // As the Go implementation wrote it.
    store.plant({ path: path as ChunkPath }, body);
    for (let i = 0; i < 3; i++) expect((await read()).equals(body)).toBe(true);
    expect(engine.memoryTier.count).toBe(0);
  });

  test('is not admitted when it is longer than 8 MiB', async () => {
    const { engine, read } = await openStored({ chunkBytes: 16 * MIB, sizeBytes: 16 * MIB });
    for (let i = 0; i < 3; i++) await read();
    expect(engine.memoryTier.count).toBe(0);
  });

  test('replaces chunks that are not read again, within the budget of fills', async () => {
    const { engine, read } = await openStored({ chunkBytes: MIB, sizeBytes: 24 * MIB, budgetBytes: 16 * MIB });
    await read();
    await read();
    expect(engine.memoryTier.sizeBytes).toBeLessThanOrEqual(14 * MIB);
    expect(engine.memoryTier.count).toBeGreaterThan(8);
  });

  test('is dropped when a block at its end is corrupt', async () => {
    const { engine, store, body, read } = await openStored({ chunkBytes: 8 * MIB });
    await read();
    store.flip(store.paths()[0]!, 8 * MIB - 10);
    expect((await read()).equals(body)).toBe(true);
    await engine.idle();
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
    expect((await read()).equals(body)).toBe(true);
  });
});
