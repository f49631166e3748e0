import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { StoreLoads } from '#cache/engine/streams/store-loads.ts';
import { openStoreStream } from '#cache/engine/streams/store-stream.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { turns } from '#test/support/engine-checks.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import { countingObserver, emptyCounts, MIB } from '#test/support/engines.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { openStored, startPacedReader } from '#test/support/paced-reader.ts';

const NEVER = new AbortController().signal;

/** A stored chunk of 4 MiB. */
function open() {
  const memory = new ChunkMemory({ budgetBytes: 16 * MIB, clock: fakeClock(), poison: true });
  const store = fakeChunkStore();
  const catalog = new Catalog(10);
  const body = patternBytes(4 * MIB);
  const chunk = chunkFor(body, 'object');
  store.plant(chunk, body, metadataFor(chunk, body));
  const read = { chunk, demand: 'new', requestId: 'test', signal: NEVER } as const;
  const range = { from: 100, to: 4 * MIB };
  const stream = (more: { readonly demand?: 'ahead'; readonly signal?: AbortSignal } = {}) =>
    openStoreStream({ store, memory, catalog }, { ...read, ...more }, { range, fetched: range }, {});
  return { memory, store, catalog, chunk, body, stream };
}

test('a reader that closes ends the request to the cachestore, and releases its memory', async () => {
  const { memory, store, catalog, chunk, body, stream } = open();
  const reader = await stream();
  const piece = await reader.next();
  expect(body.subarray(100, 100 + piece!.bytes.length).equals(piece!.bytes)).toBe(true);
  expect(catalog.has(chunk.path)).toBe(true);
  piece!.release();
  reader.close();
  await turns(1);
  expect([memory.usedBytes, store.counts.bytesRead]).toEqual([0, 0]);
});

describe('an operation of the store that has not returned when its call ends', () => {
  /** A store whose reads take memory and hang; the call ends by its signal, and the operation by `giveBack`. */
  function openHanging() {
    const { memory, store, catalog, chunk, body } = open();
    const operation = Promise.withResolvers<Uint8Array>();
    let giveBack = (): void => {};
    const hanging: ChunkStore = {
      ...store,
      read: (_chunk, _range, sink, _onInfo, { signal }) =>
        new Promise((_resolve, reject) => {
          operation.resolve(sink.space()!);
          signal.addEventListener('abort', () => {
            giveBack = sink.keep!();
            reject(signal.reason);
          });
        }),
    };
    return { memory, hanging, catalog, chunk, body, memoryOf: operation.promise, giveBack: () => giveBack() };
  }

  test('keeps its segment of a window until it returns', async () => {
    const { memory, hanging, catalog, chunk, memoryOf, giveBack } = openHanging();
    const read = { chunk, demand: 'new', requestId: 'test', signal: NEVER } as const;
    const range = { from: 0, to: 4 * MIB };
    const reader = await openStoreStream({ store: hanging, memory, catalog }, read, { range, fetched: range }, {});
    const lent = await memoryOf;
    lent[0] = 1;
    reader.close();
    await turns(1);
    expect([memory.usedBytes, lent[0]]).toEqual([MIB, 1]);
    giveBack();
    // Poisoned: the segment is back in the pool.
    expect([memory.usedBytes, lent[0]]).toEqual([0, 0xdb]);
  });

  test('keeps its segment of a load until it returns', async () => {
    const { memory, hanging, catalog, chunk, memoryOf, giveBack } = openHanging();
    const clock = fakeClock();
    const observer = countingObserver(emptyCounts());
    const context = { store: hanging, memory, memoryTier: new MemoryTier(), catalog, clock, observer };
    const loads = new StoreLoads(context);
    const reader = loads.start({ chunk, range: { from: 0, to: 4 * MIB }, signal: NEVER }, {})!;
    const lent = await memoryOf;
    lent[0] = 1;
    reader.close();
    await turns(1);
    expect([memory.usedBytes, lent[0]]).toEqual([MIB, 1]);
    giveBack();
    expect([memory.usedBytes, lent[0]]).toEqual([0, 0xdb]);
  });
});

test('the store’s failure reaches the reader after the bytes that arrived', async () => {
  const { memory, store, body, stream } = open();
  store.inject({ on: 'read', afterBytes: 1_000, error: new OrcaError('store_unavailable', 'reset') });
  const reader = await stream();
  const piece = await reader.next();
  expect(body.subarray(100, 1_100).equals(piece!.bytes)).toBe(true);
  piece!.release();
  await expect(reader.next()).rejects.toMatchObject({ code: 'store_unavailable' });
  reader.close();
  expect(memory.usedBytes).toBe(0);
});

test('read-ahead takes only spare memory: without any it is refused, and the store gets no request', async () => {
  const { memory, store, stream } = open();
  const lease = await memory.lease(8 * MIB, 'window', 'new', NEVER);
  await expect(stream({ demand: 'ahead' })).rejects.toMatchObject({ code: 'overloaded' });
  expect(store.counts.reads).toBe(0);
  lease.close();
  (await stream({ demand: 'ahead' })).close();
  expect(memory.usedBytes).toBe(0);
});

test('a reader that leaves in the moment in which it is granted memory sends no request to the store', async () => {
  const { memory, store, stream } = open();
  const client = new AbortController();
  const taken = await memory.lease(15 * MIB, 'window', 'new', NEVER);
  const opening = stream({ signal: client.signal });
  taken.close();
  client.abort(new OrcaError('cancelled', 'the client closed the connection'));
  await expect(opening).rejects.toMatchObject({ code: 'cancelled' });
  expect([memory.usedBytes, store.counts.reads]).toEqual([0, 0]);
});

test('a stall releases the bytes fetched for a reader, except for the pieces at its socket', async () => {
  const { engines, engine, body } = await openStored(8 * MIB);
  const { pace, take, first, rest } = await startPacedReader(engines, 'a');
  const second = await take();
  await turns(1);
  expect(engine.memory.usedBytes).toBeGreaterThanOrEqual(2 * MIB);
  pace.stalled();
  expect(engine.memory.usedBytes).toBe(2 * MIB);
  const got = Buffer.concat([first.bytes, second.bytes]);
  first.release();
  second.release();
  expect(engine.memory.usedBytes).toBe(0);
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  await turns(1);
  expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
});

test('a slow reader continues in small segments, through any number of stalls', async () => {
  const { engines, engine, body } = await openStored(8 * MIB);
  const { pace, take, first, rest } = await startPacedReader(engines, 'a');
  pace.stalled();
  const parts = [Buffer.from(first.bytes)];
  first.release();
  for (let i = 0; i < 20; i++) {
    const piece = await take();
    expect(piece.bytes.length).toBeLessThanOrEqual(MIB / 16);
    parts.push(Buffer.from(piece.bytes));
    // Eight segments of 64 KiB while memory is plentiful, and the piece at its socket.
    expect(engine.memory.usedBytes).toBeLessThanOrEqual((9 * MIB) / 16);
    if (i % 3 === 0) pace.stalled();
    piece.release();
  }
  expect(Buffer.concat([...parts, await rest()]).equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
});
