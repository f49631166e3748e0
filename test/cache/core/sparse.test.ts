import { expect, test } from 'vitest';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { blocksOf, isSparse, mostSparseBlocks, rangeOfBlocks, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';

const MIB = 1024 * 1024;
const CHUNK = 128 * MIB;
const BLOCK = SPARSE_BLOCK_BYTES;

/** The last chunk of an object of `index` whole chunks and `lengthBytes`. */
function chunkOf(index: number, lengthBytes = CHUNK): Chunk {
  const sizeBytes = index * CHUNK + lengthBytes;
  return chunkAt({ originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes }, CHUNK, index);
}

test('a read is sparse below an eighth of a chunk that is larger than the base size and than a block', () => {
  const chunk = chunkOf(0);
  expect(isSparse(chunk, { from: 5, to: 4101 }, 8 * MIB)).toBe(true);
  expect(isSparse(chunk, { from: 0, to: CHUNK / 8 - 1 }, 8 * MIB)).toBe(true);
  expect(isSparse(chunk, { from: 0, to: CHUNK / 8 }, 8 * MIB)).toBe(false);
  expect(isSparse(chunk, { from: 0, to: 1 }, CHUNK)).toBe(false);
  expect(isSparse(chunkOf(1, BLOCK), { from: 0, to: 1 }, 8 * MIB)).toBe(false);
  expect(isSparse(chunkOf(1, BLOCK + 1), { from: 0, to: 1 }, 8 * MIB)).toBe(true);
  expect(mostSparseBlocks(CHUNK)).toBe(256);
  expect(mostSparseBlocks(BLOCK + 1)).toBe(1);
  expect(blocksOf({ from: BLOCK - 1, to: BLOCK + 1 })).toEqual({ first: 0, end: 2 });
  expect(rangeOfBlocks(1, 2, BLOCK + 9)).toEqual({ from: BLOCK, to: BLOCK + 9 });
});
