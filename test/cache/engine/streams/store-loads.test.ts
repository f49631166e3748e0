/** Chunks that are read again: a crowd brings each from the cachestore once. */
import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { collect, MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';

const CROWD = 50;

/** An object in the cachestore that somebody has read lately, and nothing in memory. */
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
  /** Nothing is brought any more, and what memory holds may go. */
  const expectWhole = async () => {
    await turn();
    expect(engine.storeLoads.count).toBe(0);
    expect(engine.memory.usedBytes).toBe(engine.memoryTier.sizeBytes);
  };
  return { engine, counts, store, origin: engines.origin, body, path, read, expectWhole };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a crowd reads each chunk once, and leaves it in memory', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(5 * MIB);
  for (const bytes of await Promise.all(Array.from({ length: CROWD }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  expect(store.counts).toMatchObject({ reads: 3, bytesRead: body.length });
  expect(engine.memoryTier.count).toBe(3);
  await expectWhole();
});

test('a range reads along when the load is near it, and by itself when it is not', async () => {
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

test('what is found bad is sent to none of them, and repaired once', async () => {
  const { counts, store, origin, body, path, read, expectWhole } = await readLately(2 * MIB);
  store.flip(path, MIB + 5);
  const before = origin.counts.reads;
  for (const bytes of await Promise.all(Array.from({ length: CROWD }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  expect(origin.counts.reads - before).toBe(1);
  expect(counts.fallThroughs['store/chunk_bad']).toBeGreaterThan(0);
  await expectWhole();
});

test('where the store breaks off, each goes on from where it was', async () => {
  const { engine, store, body, path, read, expectWhole } = await readLately(2 * MIB);
  store.inject({ on: 'read', path, afterBytes: MIB + 7, error: new OrcaError('store_unavailable', 'reset') });
  for (const bytes of await Promise.all(Array.from({ length: CROWD }, () => read())))
    expect(bytes.equals(body)).toBe(true);
  await engine.idle();
  await expectWhole();
});

test('with its last reader a load ends, and gives back what it had', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(2 * MIB);
  store.readGate.hold();
  const gone = new AbortController();
  const reads = [1, 2].map(() => engine.read(readRequest('a', { signal: gone.signal })));
  await store.readGate.reached();
  expect(engine.memory.usedBytes).toBe(2 * MIB);
  gone.abort(new OrcaError('cancelled', 'gone'));
  for (const result of await Promise.allSettled(reads)) expect(result.status).toBe('rejected');
  await expectWhole();
  expect(engine.memory.usedBytes).toBe(0);
  store.readGate.release();
  expect((await read()).equals(body)).toBe(true);
});

test('a reader that stops keeps no memory, and holds nobody up', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(4 * MIB, 4 * MIB);
  const pace = new ReaderPace();
  store.readGate.hold();
  const starting = engine.read(readRequest('a', { pace }));
  await store.readGate.reached();
  expect(engine.storeLoads.count).toBe(1);
  pace.stalled();
  expect(engine.storeLoads.count).toBe(0);
  store.readGate.release();
  const stopped = await starting;
  expect((await read()).equals(body)).toBe(true);
  expect((await collect(stopped)).equals(body)).toBe(true);
  await expectWhole();
});

test('it may not be pushed out before its last reader is through, and whoever comes until then finds it', async () => {
  const { engine, store, body, read, expectWhole } = await readLately(4 * MIB, 4 * MIB);
  const steady = await engine.read(readRequest('a'));
  const { value: first } = await steady.body.next();
  await turn();
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
