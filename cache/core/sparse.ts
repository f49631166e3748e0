/**
 * Sparse reads: so little of so large a chunk that bringing all of it would cost more than it is likely to save. They are
 * counted in blocks; how many of a chunk may be asked before the whole is worth more is said here.
 */
import type { Chunk } from './chunk.ts';
import type { ByteRange } from './object.ts';

/** What the origin is asked for at least, and aligned to: a footer's length and the footer are one read. */
export const SPARSE_BLOCK_BYTES = 64 * 1024;
/** Of a chunk: what sparse reads may cost on top of its fill, and what is too much to be called sparse. */
const SHARE = 1 / 8;

/** Chunks of the base size are always filled: they are what a miss costs anyway. */
export function isSparse(chunk: Chunk, range: ByteRange, baseSizeBytes: number): boolean {
  return chunk.chunkSizeBytes > baseSizeBytes && isSparseIn(chunk, range);
}

/** The same for a chunk whose base size another replica knows. */
export function isSparseIn({ lengthBytes }: Chunk, range: ByteRange): boolean {
  return lengthBytes > SPARSE_BLOCK_BYTES && range.to - range.from < lengthBytes * SHARE;
}

/** So many different blocks may be asked for before the chunk is filled; one always, in a short last chunk too. */
export function mostSparseBlocks(lengthBytes: number): number {
  return Math.max(1, Math.floor((lengthBytes * SHARE) / SPARSE_BLOCK_BYTES));
}

/** The numbers of the blocks that hold `range` of a chunk. */
export function blocksOf(range: ByteRange): { readonly first: number; readonly end: number } {
  return {
    first: Math.floor(range.from / SPARSE_BLOCK_BYTES),
    end: Math.ceil(range.to / SPARSE_BLOCK_BYTES),
  };
}

/** Blocks `[first, end)` of a chunk, as a range of it. */
export function rangeOfBlocks(first: number, end: number, lengthBytes: number): ByteRange {
  return { from: first * SPARSE_BLOCK_BYTES, to: Math.min(end * SPARSE_BLOCK_BYTES, lengthBytes) };
}
