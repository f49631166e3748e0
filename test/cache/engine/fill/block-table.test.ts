import { expect, test } from 'vitest';
import { chunkAt, type Chunk, type ChunkPath } from '#cache/core/chunk.ts';
import { rangeOfBlocks, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { Flight } from '#cache/engine/fill/flight.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { BlockTable, type BlockRun } from '#cache/engine/fill/block-table.ts';
import { systemClock } from '#shared/clock.ts';

const MIB = 1024 * 1024;
const CHUNK = 128 * MIB;
const BLOCK = SPARSE_BLOCK_BYTES;

function open(options: { maxChunks?: number; maxBytes?: number } = {}) {
  const memory = new ChunkMemory({ budgetBytes: 64 * MIB, clock: systemClock, poison: true });
  const memoryTier = new MemoryTier();
  const table = new BlockTable(memoryTier, { maxBytes: 32 * MIB, ...options });
  let runs = 0;
  const begin = (chunk: Chunk, firstBlock: number, endBlock: number): BlockRun => {
    const range = rangeOfBlocks(firstBlock, endBlock, chunk.lengthBytes);
    const part = { ...chunk, path: `${chunk.path}#${runs++}` as ChunkPath, range, lengthBytes: range.to - range.from };
    const run = { ...range, chunk, flight: new Flight(part), ended: Promise.resolve() };
    table.begin(run);
    return run;
  };
  const complete = (run: BlockRun): ChunkBytes => {
    const lengthBytes = run.to - run.from;
    const bytes = new ChunkBytes(memory.tryLease(lengthBytes, 'fill')!, lengthBytes, () => table.dropped(run));
    table.completed(run, bytes);
    return bytes;
  };
  return { memory, memoryTier, table, begin, complete };
}

function chunkOf(index: number, lengthBytes = CHUNK): Chunk {
  const sizeBytes = index * CHUNK + lengthBytes;
  return chunkAt({ originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes }, CHUNK, index);
}

const block = (number: number) => ({ from: number * BLOCK + 7, to: number * BLOCK + 9 });

test('reports the gaps between the runs in flight', () => {
  const { table, begin } = open();
  const chunk = chunkOf(0);
  begin(chunk, 2, 4);
  begin(chunk, 6, 7);
  const { fill, gaps } = table.decide(chunk, { from: BLOCK + 1, to: 9 * BLOCK }, true);
  expect(fill).toBe(false);
  expect(gaps).toEqual([rangeOfBlocks(1, 2, CHUNK), rangeOfBlocks(4, 6, CHUNK), rangeOfBlocks(7, 9, CHUNK)]);
  expect(table.covers(chunk.path, { from: 2 * BLOCK, to: 4 * BLOCK })).toBe(true);
  expect(table.covers(chunk.path, { from: 2 * BLOCK, to: 4 * BLOCK + 1 })).toBe(false);
});

test('an evicted block is a gap again, and what it has cost still counts', () => {
  const { table, begin, complete, memory, memoryTier } = open();
  const chunk = chunkOf(0, MIB);
  const reads = (): number => {
    for (let count = 1; ; count++) if (table.decide(chunk, block(0), true).fill) return count;
  };
  table.decide(chunk, block(0), true);
  complete(begin(chunk, 0, 1));
  memoryTier.evict(1);
  expect(memory.usedBytes).toBe(0);
  expect(table.heldBytes).toBe(0);
  expect(table.runAt(chunk.path, 0)).toBeUndefined();
  expect(table.decide(chunk, block(0), true)).toEqual({
    fill: false,
    gaps: [{ from: 0, to: BLOCK }],
    ahead: undefined,
  });
  complete(begin(chunk, 0, 1));
  // 18 reads have a credit of 18 blocks and a few bytes: two for the block, the others for the rest of the chunk.
  expect(reads()).toBe(17 - 2);
});

test('blocks of a failed read are no evidence', () => {
  const { table, begin } = open();
  const chunk = chunkOf(0);
  table.failed(begin(chunk, 0, 3));
  expect(table.size).toBe(0);
  expect(table.decide(chunk, block(0), true)).toMatchObject({ fill: false, gaps: [{ from: 0, to: BLOCK }] });
});

test('the blocks in memory are bounded: the least recently used ones are evicted first', () => {
  const { table, begin, complete, memory } = open({ maxBytes: 3 * BLOCK });
  const chunk = chunkOf(0);
  for (let number = 0; number < 3; number++) complete(begin(chunk, number, number + 1));
  table.runAt(chunk.path, 0);
  complete(begin(chunk, 3, 4));
  expect([0, 1, 2, 3].map((number) => table.covers(chunk.path, block(number)))).toEqual([true, false, true, true]);
  expect(memory.usedBytes).toBe(3 * BLOCK);
  expect(table.heldBytes).toBe(3 * BLOCK);
  table.forget(chunk.path);
  expect(table.heldBytes).toBe(0);
});

test('a forgotten chunk’s blocks are evicted, and blocks still in flight are not kept', () => {
  const { table, begin, complete, memory, memoryTier } = open();
  const chunk = chunkOf(0);
  complete(begin(chunk, 0, 1));
  const late = begin(chunk, 1, 2);
  table.forget(chunk.path);
  expect(memory.usedBytes).toBe(0);
  begin(chunk, 1, 2);
  expect(complete(late).isDropped).toBe(true);
  expect(memoryTier.count).toBe(0);
  expect(memory.usedBytes).toBe(0);
  expect(table.covers(chunk.path, block(1))).toBe(true);
});

test('keeps the 10 000 most recently requested chunks, and evicts the blocks of older ones', () => {
  const { table, begin, complete, memory } = open();
  for (let index = 0; index < 10_000; index++) {
    const run = begin(chunkOf(index), 0, 1);
    if (index < 10) complete(run);
  }
  expect(table.size).toBe(10_000);
  expect(memory.usedBytes).toBe(10 * BLOCK);
  begin(chunkOf(0), 5, 6);
  begin(chunkOf(10_000), 0, 1);
  expect(table.size).toBe(10_000);
  expect(table.covers(chunkOf(0).path, block(0))).toBe(true);
  expect(table.covers(chunkOf(1).path, block(0))).toBe(false);
  expect(memory.usedBytes).toBe(9 * BLOCK);
});
