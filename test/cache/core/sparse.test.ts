import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import {
  blocksOf,
  creditBytes,
  fillBytes,
  isFooter,
  isInSequence,
  isSparse,
  MIN_REUSED_BYTES,
  rangeOfBlocks,
  SPARSE_BLOCK_BYTES,
  widenedTo,
} from '#cache/core/sparse.ts';

const KIB = 1024;
const MIB = 1024 * 1024;
const CHUNK = 128 * MIB;
const BLOCK = SPARSE_BLOCK_BYTES;

/** The last chunk of an object of `index` whole chunks and `lengthBytes`. */
function chunkOf(index: number, lengthBytes = CHUNK): Chunk {
  const sizeBytes = index * CHUNK + lengthBytes;
  return chunkAt({ originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes }, CHUNK, index);
}

test('a read is sparse below an eighth of a chunk of more than eight blocks', () => {
  const chunk = chunkOf(0);
  expect(isSparse(chunk, { from: 5, to: 4101 })).toBe(true);
  expect(isSparse(chunk, { from: 0, to: CHUNK / 8 - 1 })).toBe(true);
  expect(isSparse(chunk, { from: 0, to: CHUNK / 8 })).toBe(false);
  expect(isSparse(chunkOf(1, 8 * BLOCK), { from: 0, to: 1 })).toBe(false);
  expect(isSparse(chunkOf(1, 8 * BLOCK + 1), { from: 0, to: 1 })).toBe(true);
  expect(isSparse(chunkOf(1, MIB), { from: 4 * KIB, to: 8 * KIB })).toBe(true);
});

test('blocks cover their range, and end with the chunk', () => {
  expect(blocksOf({ from: BLOCK - 1, to: BLOCK + 1 })).toEqual({ first: 0, end: 2 });
  expect(rangeOfBlocks(1, 2, BLOCK + 9)).toEqual({ from: BLOCK, to: BLOCK + 9 });
});

test('a footer ends with the object, not with any chunk of it', () => {
  const sizeBytes = 2 * CHUNK;
  const object = { originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes };
  const end = { from: CHUNK - 8, to: CHUNK };
  expect(isFooter(chunkAt(object, CHUNK, 1), end)).toBe(true);
  expect(isFooter(chunkAt(object, CHUNK, 1), { from: CHUNK - 9, to: CHUNK - 1 })).toBe(false);
  expect(isFooter(chunkAt(object, CHUNK, 0), end)).toBe(false);
});

test('a slice is part of a sequence that has read a quarter of the chunk’s size up to it', () => {
  const chunk = chunkOf(1, 8 * MIB);
  expect(isInSequence(chunk, { reads: 1, askedBytes: 8 * MIB }, 0)).toBe(false);
  expect(isInSequence(chunk, { reads: 1, askedBytes: 8 * MIB }, 1)).toBe(true);
  expect(isInSequence(chunk, { reads: 2, askedBytes: 2 * MIB }, 0)).toBe(true);
  expect(isInSequence(chunk, { reads: 2, askedBytes: MIB }, 0)).toBe(false);
  expect(isInSequence(chunk, { reads: 103, askedBytes: 103 * 4 * KIB }, 0)).toBe(true);
});

test('a reader in sequence has at most three times what it has read fetched ahead, in blocks, and never less than before', () => {
  const at = fc.integer({ min: 1, max: CHUNK });
  fc.assert(
    fc.property(at, fc.nat(200), fc.integer({ min: 1, max: 16 * MIB }), (to, blocks, askedBytes) => {
      const aheadTo = Math.ceil(to / BLOCK) * BLOCK + blocks * BLOCK;
      const widened = widenedTo(to, aheadTo, askedBytes);
      expect(widened).toBeGreaterThanOrEqual(aheadTo);
      expect(widened % BLOCK).toBe(0);
      if (widened > aheadTo) expect(widened - to).toBeLessThanOrEqual(3 * askedBytes);
      if (aheadTo - to > askedBytes) expect(widened).toBe(aheadTo);
    }),
  );
});

test('blocks double while a reader continues', () => {
  const lengths: number[] = [];
  let aheadTo = BLOCK;
  for (let at = 8 * KIB; at <= 2 * MIB; at += 4 * KIB) {
    const widened = widenedTo(at, aheadTo, at);
    if (widened > aheadTo) lengths.push((widened - aheadTo) / BLOCK);
    aheadTo = widened;
  }
  expect(lengths.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
});

test('a fill fetches all but the blocks at both ends and long runs', () => {
  const run = (from: number, lengthBytes: number) => ({ from, to: from + lengthBytes });
  expect(fillBytes(CHUNK, [])).toBe(CHUNK);
  expect(fillBytes(CHUNK, [run(0, BLOCK), run(CHUNK - BLOCK, BLOCK)])).toBe(CHUNK - 2 * BLOCK);
  expect(fillBytes(CHUNK, [run(BLOCK, BLOCK)])).toBe(CHUNK);
  expect(fillBytes(CHUNK, [run(BLOCK, MIN_REUSED_BYTES)])).toBe(CHUNK - MIN_REUSED_BYTES);
});

test('a read may cost one block, and four times its bytes', () => {
  expect(creditBytes({ from: 1, to: 1 + 4 * KIB })).toBe(80 * KIB);
});
