import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { memoryPiece } from '#cache/engine/fetch/from-memory.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { asView } from '#cache/engine/streams/view-or-copy.ts';
import { evictMemory, expectNothingLeased } from '#test/support/engine-checks.ts';
import { collect, MIB, openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('a piece begins at the requested offset and ends with its segment; a missing chunk has none', async () => {
  const memory = new ChunkMemory({ budgetBytes: 8 * MIB, clock: fakeClock(), poison: true });
  const memoryTier = new MemoryTier();
  const path = 'o/h/a' as ChunkPath;
  const range = { from: MIB - 10, to: 2 * MIB };
  expect(memoryPiece(memoryTier, path, range, asView)).toBeUndefined();
  const lease = await memory.lease(2 * MIB, 'fill', 'new', new AbortController().signal);
  memoryTier.put(path, new ChunkBytes(lease, 2 * MIB));
  const piece = memoryPiece(memoryTier, path, range, asView);
  expect([piece?.bytes.length, piece?.source]).toEqual([10, 'memory']);
  piece?.release();
});

test('a chunk in memory is served from there, without the cachestore and the origin', async () => {
  const engines = openEngines({ chunkBytes: 4 * MIB, readahead: 0 });
  const body = patternBytes(4 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  const { bytes, result } = await readAll(engine, readRequest('a', { range: 'bytes=100-3000000' }));
  expect(bytes.equals(body.subarray(100, 3_000_001))).toBe(true);
  expect(result.source).toBe('memory');
  expect([engines.origin.counts.reads, engines.store.counts.reads]).toEqual([1, 1]);
  await expectNothingLeased(engines);
});

test('when a chunk is evicted during a read, the cachestore continues at the same offset', async () => {
  const engines = openEngines({ chunkBytes: 4 * MIB, readahead: 0 });
  const body = patternBytes(4 * MIB);
  engines.origin.put('far-models', 'a', body);
  const { engine } = engines.replicas[0]!;
  await readAll(engine, readRequest('a'));
  await engine.idle();
  const { reads } = engines.store.counts;
  const result = await engine.read(readRequest('a'));
  const { value: first } = await result.body.next();
  evictMemory(engines);
  const bytes = Buffer.from(first!.bytes);
  first!.release();
  expect(Buffer.concat([bytes, await collect(result)]).equals(body)).toBe(true);
  expect(engines.store.counts.reads).toBe(reads + 1);
  expect(engines.origin.counts.bytes).toBe(body.length);
  await expectNothingLeased(engines);
});
