/** The requests and the cost of all sparse reads of one chunk, and how the next read is served accordingly. */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import {
  blocksOf,
  creditBytes,
  fillBytes,
  isFooter,
  rangeOfBlocks,
  SPARSE_BLOCK_BYTES,
  widenedTo,
} from '#cache/core/sparse.ts';

/** Each chunk has this many. With more readers in sequence, the chunk is filled before they could use wider blocks. */
const MAX_SEQUENCES = 8;

/** Reads that continued one another, up to `at`. */
interface Sequence {
  readonly at: number;
  readonly askedBytes: number;
}

export interface Evidence {
  /** The blocks that are in memory or in flight. */
  readonly runs: ReadonlyMap<number, unknown>;
  /** Latest last. */
  readonly sequences: Sequence[];
  /** What the reads so far may cost, less what they have cost. */
  budgetBytes: number;
}

export interface SparseDecision {
  /** The whole chunk should be filled. */
  readonly fill: boolean;
  /** The requested blocks that are neither in memory nor in flight, in order; the last gap may be wider. */
  readonly gaps: readonly ByteRange[];
  /** Blocks to fetch for the reader's next reads. */
  readonly ahead: ByteRange | undefined;
}

/** Records a read of the range, and decides how it is served. `mayWiden`: memory has room for blocks ahead of it. */
export function decideRead(evidence: Evidence, chunk: Chunk, range: ByteRange, mayWiden: boolean): SparseDecision {
  const { lengthBytes } = chunk;
  const gaps = gapsOf(evidence, range, lengthBytes);
  const costBytes = sizeOf(gaps);
  // It pays for its own blocks, and for nothing else.
  if (isFooter(chunk, range)) {
    evidence.budgetBytes += costBytes;
    return { fill: false, gaps, ahead: undefined };
  }
  evidence.budgetBytes += creditBytes(range);
  const restBytes = evidence.budgetBytes - costBytes;
  const askedBytes = continueSequence(evidence, range);
  if (isPaidFor(evidence, lengthBytes, gaps, restBytes)) return { fill: true, gaps, ahead: undefined };
  const ahead =
    !mayWiden || askedBytes === undefined ? undefined : aheadOf(evidence, lengthBytes, range, askedBytes, restBytes);
  const last = gaps.at(-1);
  // One request for both.
  if (ahead !== undefined && last?.to === ahead.from)
    return { fill: false, gaps: [...gaps.slice(0, -1), { from: last.from, to: ahead.to }], ahead: undefined };
  return { fill: false, gaps, ahead };
}

function gapsOf({ runs }: Evidence, range: ByteRange, lengthBytes: number): ByteRange[] {
  const { first, end } = blocksOf(range);
  const gaps: ByteRange[] = [];
  for (let block = first; block < end; block++) {
    if (runs.has(block)) continue;
    const from = block;
    while (block + 1 < end && !runs.has(block + 1)) block++;
    gaps.push(rangeOfBlocks(from, block + 1, lengthBytes));
  }
  return gaps;
}

/** The length of the sequence of which this read is a part; undefined for the first read of one. */
function continueSequence({ sequences }: Evidence, { from, to }: ByteRange): number | undefined {
  const at = sequences.findIndex((sequence) => sequence.at === from);
  const [before] = at < 0 ? [] : sequences.splice(at, 1);
  sequences.push({ at: to, askedBytes: (before?.askedBytes ?? 0) + to - from });
  if (sequences.length > MAX_SEQUENCES) sequences.shift();
  return before && before.askedBytes + to - from;
}

/** Whether the reads pay for a fill that finds the blocks in the table, and the gaps. */
function isPaidFor({ runs }: Evidence, lengthBytes: number, gaps: readonly ByteRange[], budgetBytes: number): boolean {
  // The least that it could cost: most reads end here.
  if (budgetBytes < lengthBytes - runs.size * SPARSE_BLOCK_BYTES - sizeOf(gaps)) return false;
  const isThere = (block: number): boolean => {
    const at = block * SPARSE_BLOCK_BYTES;
    return runs.has(block) || gaps.some(({ from, to }) => at >= from && at < to);
  };
  const { end } = blocksOf({ from: 0, to: lengthBytes });
  const there: ByteRange[] = [];
  for (let block = 0; block < end; block++) {
    if (!isThere(block)) continue;
    const from = block;
    while (block + 1 < end && isThere(block + 1)) block++;
    there.push(rangeOfBlocks(from, block + 1, lengthBytes));
  }
  return budgetBytes >= fillBytes(lengthBytes, there);
}

/** The blocks to fetch ahead of a reader that has read `askedBytes` in sequence. */
function aheadOf(
  { runs }: Evidence,
  lengthBytes: number,
  range: ByteRange,
  askedBytes: number,
  budgetBytes: number,
): ByteRange | undefined {
  let { end: first } = blocksOf(range);
  while (runs.has(first)) first++;
  const aheadTo = first * SPARSE_BLOCK_BYTES;
  const most = first + Math.floor(budgetBytes / SPARSE_BLOCK_BYTES);
  const { end: wanted } = blocksOf({ from: 0, to: Math.min(widenedTo(range.to, aheadTo, askedBytes), lengthBytes) });
  let end = first;
  while (end < Math.min(wanted, most) && !runs.has(end)) end++;
  return end > first ? rangeOfBlocks(first, end, lengthBytes) : undefined;
}

function sizeOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}
