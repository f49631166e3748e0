/**
 * Sparse reads: reads of a small part of a large chunk, for which fetching the whole chunk would probably cost more than
 * it saves. They fetch blocks of 64 KiB. This module defines which reads are sparse, and after how many different blocks
 * the whole chunk is filled instead.
 */
import type { Chunk } from './chunk.ts';
import type { ByteRange } from './object.ts';

/** Minimum size and alignment of a sparse request. A file's footer and the length of the footer usually share one block. */
export const SPARSE_BLOCK_BYTES = 64 * 1024;
/** A read is sparse below this share of the chunk; all sparse reads together may add at most this share to a fill. */
const SHARE = 1 / 8;

/** Chunks of the base size are always filled: that is the normal cost of a miss. */
export function isSparse(chunk: Chunk, range: ByteRange, baseSizeBytes: number): boolean {
  return chunk.chunkSizeBytes > baseSizeBytes && isSparseIn(chunk, range);
}

/** Like `isSparse`, for a chunk that is known to be larger than the base size: another replica has checked it. */
export function isSparseIn({ lengthBytes }: Chunk, range: ByteRange): boolean {
  return lengthBytes > SPARSE_BLOCK_BYTES && range.to - range.from < lengthBytes * SHARE;
}

/** The maximum number of different blocks to fetch before the chunk is filled; at least 1, even for a short last chunk. */
export function mostSparseBlocks(lengthBytes: number): number {
  return Math.max(1, Math.floor((lengthBytes * SHARE) / SPARSE_BLOCK_BYTES));
}

/** The block numbers `[first, end)` that cover `range` of a chunk. */
export function blocksOf(range: ByteRange): { readonly first: number; readonly end: number } {
  return {
    first: Math.floor(range.from / SPARSE_BLOCK_BYTES),
    end: Math.ceil(range.to / SPARSE_BLOCK_BYTES),
  };
}

/** The byte range of blocks `[first, end)` of a chunk. */
export function rangeOfBlocks(first: number, end: number, lengthBytes: number): ByteRange {
  return { from: first * SPARSE_BLOCK_BYTES, to: Math.min(end * SPARSE_BLOCK_BYTES, lengthBytes) };
}
