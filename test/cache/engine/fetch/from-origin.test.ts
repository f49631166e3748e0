import { expect, test } from 'vitest';
import { turns } from '#test/support/engine-checks.ts';
import { MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';
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
