/**
 * Sparse reads: reads of a small part of a chunk, for which fetching the whole chunk would probably cost more than it
 * saves. They fetch blocks of 64 KiB. This module defines which reads are sparse, how many blocks a reader in sequence
 * gets at a time, and when the whole chunk is filled instead.
 *
 * The rule behind all of it is a budget: together, the reads of a chunk may cost one block each, and four times the
 * bytes that they ask for. A chunk is filled as soon as that pays for the rest of it.
 */
import type { Chunk } from './chunk.ts';
import type { ByteRange } from './object.ts';

/** Minimum size and alignment of a sparse request. A file's footer and the length of the footer usually share one block. */
export const SPARSE_BLOCK_BYTES = 64 * 1024;
/** A read is sparse below this share of the chunk. So chunks of up to eight blocks are always filled. */
const SHARE = 1 / 8;
/** How many bytes the origin may send per requested byte, on top of one block for each read. */
const COST_PER_BYTE = 4;
/**
 * A reader in sequence has up to this many times what it has read fetched ahead of it, so that each request is twice as
 * long as the one before. With the bytes that it has read, that is what the budget allows.
 */
const AHEAD = COST_PER_BYTE - 1;
/**
 * Shorter runs of blocks between two gaps are fetched again by a fill: one request for everything takes less time than
 * two requests, and a reader may be waiting for their end.
 */
export const MIN_REUSED_BYTES = 4 * SPARSE_BLOCK_BYTES;

/** Reads that continued one another: each began where the one before it ended. */
export interface SequenceSoFar {
  readonly reads: number;
  readonly askedBytes: number;
}

export function isSparse({ lengthBytes }: Chunk, range: ByteRange): boolean {
  return lengthBytes * SHARE > SPARSE_BLOCK_BYTES && range.to - range.from < lengthBytes * SHARE;
}

/**
 * Whether a small slice, which is number `slice` of its read, belongs to a sequence that will probably go on through the
 * chunk. The bytes before the slice then pay for the chunk, as they would have if they had been in it.
 */
export function isInSequence({ lengthBytes }: Chunk, { reads, askedBytes }: SequenceSoFar, slice: number): boolean {
  return (slice > 0 || reads > 1) && reads * SPARSE_BLOCK_BYTES + askedBytes * COST_PER_BYTE >= lengthBytes;
}

/** Each reader of an object reads the footer, whatever parts it needs: such reads are no evidence for a fill. */
export function isFooter({ object, range: { to }, lengthBytes }: Chunk, range: ByteRange): boolean {
  return to === object.sizeBytes && range.to === lengthBytes;
}

/** How much may come from the origin on account of this read. */
export function creditBytes({ from, to }: ByteRange): number {
  return SPARSE_BLOCK_BYTES + (to - from) * COST_PER_BYTE;
}

/**
 * How far to fetch for a reader that has read `sequenceBytes` in sequence, up to `at`, and has blocks up to `aheadTo`.
 * The next request goes out while it still has as much ahead as it has read. `aheadTo` if nothing is to be fetched.
 */
export function widenedTo(at: number, aheadTo: number, sequenceBytes: number): number {
  if (aheadTo - at > sequenceBytes) return aheadTo;
  return Math.max(aheadTo, Math.floor((at + AHEAD * sequenceBytes) / SPARSE_BLOCK_BYTES) * SPARSE_BLOCK_BYTES);
}

/** What a fill fetches of a chunk of which the `runs`, in order, are there: short runs between two gaps are fetched again. */
export function fillBytes(lengthBytes: number, runs: Iterable<ByteRange>): number {
  let missingBytes = lengthBytes;
  for (const { from, to } of runs)
    if (from === 0 || to === lengthBytes || to - from >= MIN_REUSED_BYTES) missingBytes -= to - from;
  return missingBytes;
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
