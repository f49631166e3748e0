/**
 * Which blocks sparse reads requested, and which of those are in flight or in memory. This is the evidence by which a
 * whole chunk is filled: too many different blocks were requested, or one was requested again after it had been read.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { blocksOf, mostSparseBlocks, rangeOfBlocks, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { Flight } from './flight.ts';

/** A chunk of 128 MiB has a bitmap of 256 bytes: a few MiB in all, for the footers of 10 000 files. */
const MAX_CHUNKS = 10_000;
/** Arrivals within this time after a read with several waiters belong to the same burst, and do not count as reuse. */
const BURST_MS = 1_000;

/** Adjacent blocks that one origin read fetches; offsets count from the chunk's start. */
export interface BlockRun extends ByteRange {
  readonly chunk: Chunk;
  readonly flight: Flight;
}

/** A run that is completely in memory. */
export interface HeldRun extends ByteRange {
  readonly path: ChunkPath;
  readonly bytes: ChunkBytes;
}

interface Run {
  readonly reading: BlockRun;
  held: HeldRun | undefined;
  completedAt: number;
  completedMs: number;
  /** Other reads requested it while it was fetched. */
  isBurst: boolean;
}

/** When a read arrived, in the table's own count, and the time now. */
export interface Asked {
  readonly moment: number;
  readonly nowMs: number;
}

interface Evidence {
  /** One bit per requested block. */
  readonly asked: Uint8Array;
  readonly runs: Map<number, Run>;
  askedCount: number;
  readingCount: number;
  lastCompletedAt: number;
}

export interface SparseDecision {
  /** The whole chunk should be filled. */
  readonly fill: boolean;
  /** The requested blocks that are neither in memory nor in flight, in order. */
  readonly gaps: readonly ByteRange[];
}

export class BlockTable {
  readonly #memoryTier: MemoryTier;
  readonly #maxChunks: number;
  /** Least recently asked first. */
  readonly #chunks = new Map<ChunkPath, Evidence>();
  #moment = 0;

  constructor(memoryTier: MemoryTier, maxChunks = MAX_CHUNKS) {
    this.#memoryTier = memoryTier;
    this.#maxChunks = maxChunks;
  }

  get size(): number {
    return this.#chunks.size;
  }

  /** Increments with each completed read: a request from before that moment is late, and does not count as reuse. */
  get moment(): number {
    return this.#moment;
  }

  /** Whether all blocks of the range are in memory or in flight. */
  covers(path: ChunkPath, range: ByteRange): boolean {
    const evidence = this.#chunks.get(path);
    const { first, end } = blocksOf(range);
    for (let block = first; block < end; block++) if (evidence?.runs.has(block) !== true) return false;
    return evidence !== undefined;
  }

  /** How a read of the range is served. */
  decide(chunk: Chunk, range: ByteRange, asked: Asked): SparseDecision {
    const evidence = this.#chunks.get(chunk.path);
    const { first, end } = blocksOf(range);
    const gaps: ByteRange[] = [];
    let gapFrom: number | undefined;
    let fresh = 0;
    let isAgain = false;
    const endGap = (block: number) => {
      if (gapFrom !== undefined) gaps.push(rangeOfBlocks(gapFrom, block, chunk.lengthBytes));
      gapFrom = undefined;
    };
    for (let block = first; block < end; block++) {
      const run = evidence?.runs.get(block);
      if (run === undefined) gapFrom ??= block;
      else endGap(block);
      if (evidence === undefined || !isSet(evidence.asked, block)) fresh++;
      // Read once, and evicted since: the time of each block's read is not kept.
      else if (run === undefined) isAgain ||= asked.moment >= evidence.lastCompletedAt;
      else if (isSecondTouch(run, asked)) isAgain = true;
    }
    endGap(end);
    const isMuch = (evidence?.askedCount ?? 0) + fresh > mostSparseBlocks(chunk.lengthBytes);
    return { fill: isAgain || isMuch, gaps };
  }

  /** The range is in flight from now on, and its blocks count as requested. */
  begin(run: BlockRun): void {
    const evidence = this.#touch(run.chunk);
    evidence.readingCount++;
    const begun: Run = { reading: run, held: undefined, completedAt: 0, completedMs: 0, isBurst: false };
    eachBlock(run, (block) => {
      if (!isSet(evidence.asked, block)) evidence.askedCount++;
      set(evidence.asked, block, true);
      evidence.runs.set(block, begun);
    });
  }

  /** The read failed: its blocks do not count as requested. */
  failed(run: BlockRun): void {
    const evidence = this.#chunks.get(run.chunk.path);
    if (evidence === undefined || this.#end(evidence, run) === undefined) return;
    eachBlock(run, (block) => {
      set(evidence.asked, block, false);
      evidence.runs.delete(block);
    });
    evidence.askedCount -= blockCount(run);
    if (evidence.askedCount === 0) this.#chunks.delete(run.chunk.path);
  }

  /** The run is in memory: from now on the memory tier keeps or evicts it. */
  completed(run: BlockRun, bytes: ChunkBytes, nowMs: number): void {
    const { path } = run.flight.chunk;
    const evidence = this.#chunks.get(run.chunk.path);
    this.#moment++;
    // Forgotten while it was in flight: the whole chunk has arrived, and readers use that.
    const ended = evidence && this.#end(evidence, run);
    if (evidence === undefined || ended === undefined) {
      bytes.drop();
      return;
    }
    this.#memoryTier.put(path, bytes);
    evidence.lastCompletedAt = this.#moment;
    ended.held = { path, bytes, from: run.from, to: run.to };
    ended.completedAt = this.#moment;
    ended.completedMs = nowMs;
  }

  /** The memory tier has evicted the run; its blocks still count as requested. */
  dropped(run: BlockRun): void {
    const runs = this.#chunks.get(run.chunk.path)?.runs;
    eachBlock(run, (block) => {
      if (runs?.get(block)?.reading === run) runs.delete(block);
    });
  }

  /** The whole chunk is in memory or in the cachestore. */
  forget(path: ChunkPath): void {
    const evidence = this.#chunks.get(path);
    if (evidence === undefined) return;
    this.#chunks.delete(path);
    for (const { held } of evidence.runs.values()) if (held !== undefined) this.#memoryTier.delete(held.path);
  }

  /** The run that contains the block at `offset`, in memory or in flight. */
  runAt(path: ChunkPath, offset: number): BlockRun | HeldRun | undefined {
    const run = this.#chunks.get(path)?.runs.get(Math.floor(offset / SPARSE_BLOCK_BYTES));
    if (run === undefined) return undefined;
    if (run.held === undefined) return run.reading;
    // Marks the entry as visited.
    this.#memoryTier.get(run.held.path);
    return run.held;
  }

  #touch(chunk: Chunk): Evidence {
    const known = this.#chunks.get(chunk.path);
    const evidence = known ?? {
      asked: new Uint8Array(Math.ceil(chunk.lengthBytes / SPARSE_BLOCK_BYTES / 8)),
      runs: new Map<number, Run>(),
      askedCount: 0,
      readingCount: 0,
      lastCompletedAt: 0,
    };
    this.#chunks.delete(chunk.path);
    this.#chunks.set(chunk.path, evidence);
    // Chunks with reads in flight are not evicted; they are few, since each holds a place in a bounded queue.
    for (const [oldest, { readingCount }] of this.#chunks) {
      if (this.#chunks.size <= this.#maxChunks) break;
      if (readingCount === 0 && oldest !== chunk.path) this.forget(oldest);
    }
    return evidence;
  }

  /** Undefined if the chunk was forgotten since the run began. */
  #end(evidence: Evidence, run: BlockRun): Run | undefined {
    const found = evidence.runs.get(blocksOf(run).first);
    if (found?.reading !== run) return undefined;
    evidence.readingCount--;
    return found;
  }
}

/** A concurrent burst may outlast its own first read: `isBurst` marks runs that several reads requested at once. */
function isSecondTouch(run: Run, { moment, nowMs }: Asked): boolean {
  if (run.held === undefined || moment < run.completedAt) {
    run.isBurst = true;
    return false;
  }
  return !run.isBurst || nowMs - run.completedMs >= BURST_MS;
}

function eachBlock(run: ByteRange, visit: (block: number) => void): void {
  const { first, end } = blocksOf(run);
  for (let block = first; block < end; block++) visit(block);
}

function blockCount(run: ByteRange): number {
  const { first, end } = blocksOf(run);
  return end - first;
}

function isSet(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
}

function set(bits: Uint8Array, at: number, value: boolean): void {
  const byte = bits[at >> 3] ?? 0;
  bits[at >> 3] = value ? byte | (1 << (at & 7)) : byte & ~(1 << (at & 7));
}
