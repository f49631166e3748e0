/**
 * What sparse reads asked of which chunks, and which of those blocks are on their way or in memory. It is the evidence by
 * which a chunk is filled after all: too many different blocks asked, or one asked again after it had been read.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { blocksOf, mostSparseBlocks, rangeOfBlocks, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { Flight } from './flight.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';

/** 256 bytes of bitmap for a chunk of 128 MiB: a few MiB in all, for the footers of as many files. */
const MAX_CHUNKS = 10_000;
/** Who comes so soon after a read that several had waited for is one more of them, and no second touch. */
const CROWD_MS = 1_000;

/** Neighbouring blocks that one origin read brings; offsets count from the chunk's start. */
export interface BlockRun extends ByteRange {
  readonly chunk: Chunk;
  readonly flight: Flight;
}

/** A run that is all here. */
export interface HeldRun extends ByteRange {
  readonly path: ChunkPath;
  readonly bytes: ChunkBytes;
}

interface Run {
  readonly reading: BlockRun;
  held: HeldRun | undefined;
  completedAt: number;
  completedMs: number;
  /** Others asked for it while it was read. */
  isCrowded: boolean;
}

/** When a read was asked for, as the table counts, and the time now. */
export interface Asked {
  readonly moment: number;
  readonly nowMs: number;
}

interface Evidence {
  /** One bit a block that was asked for. */
  readonly asked: Uint8Array;
  readonly runs: Map<number, Run>;
  askedCount: number;
  readingCount: number;
  lastCompletedAt: number;
}

export interface Verdict {
  /** The chunk is worth its fill by now. */
  readonly fill: boolean;
  /** What of the asked blocks is neither here nor on its way, in order. */
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

  /** Moves on with each completed read: who has asked before one completed is no second touch of it, just late. */
  get moment(): number {
    return this.#moment;
  }

  /** Whether all blocks of the range are here or on their way. */
  covers(path: ChunkPath, range: ByteRange): boolean {
    const evidence = this.#chunks.get(path);
    const { first, end } = blocksOf(range);
    for (let block = first; block < end; block++) if (evidence?.runs.has(block) !== true) return false;
    return evidence !== undefined;
  }

  /** What one that asks for the range is to get. */
  judge(chunk: Chunk, range: ByteRange, asked: Asked): Verdict {
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
      // Read once, and gone under memory pressure since: when exactly is not kept for each block.
      else if (run === undefined) isAgain ||= asked.moment >= evidence.lastCompletedAt;
      else if (isSecondTouch(run, asked)) isAgain = true;
    }
    endGap(end);
    const isMuch = (evidence?.askedCount ?? 0) + fresh > mostSparseBlocks(chunk.lengthBytes);
    return { fill: isAgain || isMuch, gaps };
  }

  /** The range is being read from now on, and its blocks count as asked. */
  begin(run: BlockRun): void {
    const evidence = this.#touch(run.chunk);
    evidence.readingCount++;
    const begun: Run = { reading: run, held: undefined, completedAt: 0, completedMs: 0, isCrowded: false };
    eachBlock(run, (block) => {
      if (!isSet(evidence.asked, block)) evidence.askedCount++;
      set(evidence.asked, block, true);
      evidence.runs.set(block, begun);
    });
  }

  /** It was not brought: as if it had never been asked. */
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

  /** It is all here: from now on the memory tier keeps it, or gives it up for something else. */
  completed(run: BlockRun, bytes: ChunkBytes, nowMs: number): void {
    const { path } = run.flight.chunk;
    const evidence = this.#chunks.get(run.chunk.path);
    this.#moment++;
    // Forgotten while it was read: the chunk has come by another way, and its readers have it from there.
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

  /** The memory tier has given it up; it stays asked. */
  dropped(run: BlockRun): void {
    const runs = this.#chunks.get(run.chunk.path)?.runs;
    eachBlock(run, (block) => {
      if (runs?.get(block)?.reading === run) runs.delete(block);
    });
  }

  /** The chunk is here or in the cachestore as a whole. */
  forget(path: ChunkPath): void {
    const evidence = this.#chunks.get(path);
    if (evidence === undefined) return;
    this.#chunks.delete(path);
    for (const { held } of evidence.runs.values()) if (held !== undefined) this.#memoryTier.delete(held.path);
  }

  /** What holds the block at `offset`, or is bringing it. */
  runAt(path: ChunkPath, offset: number): BlockRun | HeldRun | undefined {
    const run = this.#chunks.get(path)?.runs.get(Math.floor(offset / SPARSE_BLOCK_BYTES));
    if (run === undefined) return undefined;
    if (run.held === undefined) return run.reading;
    // Says that it was read.
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
    // Those that are being read are in use, and few: each holds a place in a bounded queue.
    for (const [oldest, { readingCount }] of this.#chunks) {
      if (this.#chunks.size <= this.#maxChunks) break;
      if (readingCount === 0 && oldest !== chunk.path) this.forget(oldest);
    }
    return evidence;
  }

  /** Undefined if the evidence is no longer the one in which the run began. */
  #end(evidence: Evidence, run: BlockRun): Run | undefined {
    const found = evidence.runs.get(blocksOf(run).first);
    if (found?.reading !== run) return undefined;
    evidence.readingCount--;
    return found;
  }
}

/** Of a crowd at once the last may come when the first have been answered: they are told by those who came in between. */
function isSecondTouch(run: Run, { moment, nowMs }: Asked): boolean {
  if (run.held === undefined || moment < run.completedAt) {
    run.isCrowded = true;
    return false;
  }
  return !run.isCrowded || nowMs - run.completedMs >= CROWD_MS;
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
