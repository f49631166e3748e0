import { expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import { evictMemory, turns } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { startPacedReader } from '#test/support/paced-reader.ts';

test('a fill continues while its reader is stalled, and is not repeated', async () => {
  const engines = openEngines({ chunkBytes: 8 * MIB, readahead: 2, budgetBytes: 128 * MIB });
  const body = patternBytes(24 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { pace, first, rest } = await startPacedReader(engines, 'a');
  pace.stalled();
  const { engine } = engines.replicas[0]!;
  await engine.idle();
  engine.memoryTier.evict(Number.POSITIVE_INFINITY);
  pace.stalled();
  await turns(1);
  // The piece at its socket, and nothing else.
  expect(engine.memory.usedBytes).toBe(MIB);
  const got = Buffer.from(first.bytes);
  first.release();
  expect(Buffer.concat([got, await rest()]).equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
});

test('a slow reader continues from the cachestore when its filled chunk was evicted', async () => {
  const engines = openEngines({ chunkBytes: 8 * MIB, budgetBytes: 32 * MIB, readahead: 0 });
  const body = patternBytes(8 * MIB, 1);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  const { first, rest } = await startPacedReader(engines, 'a');
  await engine.idle();
  expect(engine.memoryTier.sizeBytes).toBe(8 * MIB);
  // With three more chunks, the fills' share of the budget is exhausted.
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

test('a read that has waited for its coordinator queries again a cachestore that failed before', async () => {
  const clock = fakeClock();
  const engines = openEngines({ replicas: 2, chunkBytes: 4 * MIB, clock });
  const [reader, other] = engines.replicas;
  const body = patternBytes(4 * MIB);
  // An object whose chunk the other replica coordinates.
  const key = Array.from({ length: 64 }, (_, i) => `object-${i}`).find((name) => {
    const { etag } = engines.origin.put('far-models', name, body);
    const object = { originId: 'test', bucket: 'far-models', key: name, etag, sizeBytes: body.length };
    return rankPeers(chunkAt(object, 4 * MIB, 0).path, reader!.view.owners, 1)[0] === other!.address;
  })!;
  // From the second read on, the reader knows that the chunk is stored.
  for (let reads = 0; reads < 2; reads++) {
    await whileTimePasses(clock, readAll(reader!.engine, readRequest(key)));
    await Promise.all(engines.replicas.map(({ engine }) => engine.idle()));
    evictMemory(engines);
  }
  reader!.storeError = new OrcaError('store_unavailable', 'it is down for a moment');
  engines.store.readGate.hold();
  const reading = readAll(reader!.engine, readRequest(key));
  await clock.advance(500);
  reader!.storeError = undefined;
  await clock.advance(1_000);
  // It ends after the first piece.
  other!.dead = true;
  engines.store.readGate.release();
  const { bytes } = await whileTimePasses(clock, reading);
  expect(bytes.equals(body)).toBe(true);
  expect(engines.origin.counts.bytes).toBe(body.length);
});
