/**
 * Which blocks of a chunk sparse reads have fetched or are fetching, and what those reads may still cost. This is the
 * evidence by which a reader in sequence gets more blocks at a time, and by which a whole chunk is filled.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { blocksOf, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { decideRead, type Evidence, type SparseDecision } from './block-evidence.ts';
import type { Flight } from './flight.ts';

/** A few hundred bytes each: a few MiB in all, for the footers of 10 000 files. */
const MAX_CHUNKS = 10_000;

/** Adjacent blocks that one origin read fetches; offsets count from the chunk's start. */
export interface BlockRun extends ByteRange {
  readonly chunk: Chunk;
  readonly flight: Flight;
  /** Resolves when it is in memory, or has failed. */
  readonly ended: Promise<void>;
}

/** A run that is completely in memory. */
export interface HeldRun extends ByteRange {
  readonly path: ChunkPath;
  readonly bytes: ChunkBytes;
}

interface Run {
  readonly reading: BlockRun;
  held: HeldRun | undefined;
}

interface Entry extends Evidence {
  readonly runs: Map<number, Run>;
  readingCount: number;
}

export interface BlockTableOptions {
  /** The limit for blocks in memory: the least recently used ones are evicted, before other entries of the memory tier. */
  readonly maxBytes: number;
  readonly maxChunks?: number;
}

export class BlockTable {
  readonly #memoryTier: MemoryTier;
  readonly #maxBytes: number;
  readonly #maxChunks: number;
  /** Least recently asked first. */
  readonly #chunks = new Map<ChunkPath, Entry>();
  /** Least recently used first. */
  readonly #held = new Map<BlockRun, HeldRun>();
  #heldBytes = 0;

  constructor(memoryTier: MemoryTier, { maxBytes, maxChunks = MAX_CHUNKS }: BlockTableOptions) {
    this.#memoryTier = memoryTier;
    this.#maxBytes = maxBytes;
    this.#maxChunks = maxChunks;
  }

  get size(): number {
    return this.#chunks.size;
  }

  /** The size of the blocks in memory. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether all blocks of the range are in memory or in flight. */
  covers(path: ChunkPath, range: ByteRange): boolean {
    const evidence = this.#chunks.get(path);
    const { first, end } = blocksOf(range);
    for (let block = first; block < end; block++) if (evidence?.runs.has(block) !== true) return false;
    return evidence !== undefined;
  }

  /** Records a read of the range, and decides how it is served. `mayWiden`: memory has room for blocks ahead of it. */
  decide(chunk: Chunk, range: ByteRange, mayWiden: boolean): SparseDecision {
    return decideRead(this.#touch(chunk.path), chunk, range, mayWiden);
  }

  /** The range is in flight from now on, and paid for. */
  begin(run: BlockRun): void {
    const evidence = this.#touch(run.chunk.path);
    evidence.readingCount++;
    evidence.budgetBytes -= run.to - run.from;
    const begun: Run = { reading: run, held: undefined };
    eachBlock(run, (block) => evidence.runs.set(block, begun));
  }

  /** The read failed: it is no evidence. */
  failed(run: BlockRun): void {
    const evidence = this.#chunks.get(run.chunk.path);
    if (evidence === undefined || this.#end(evidence, run) === undefined) return;
    eachBlock(run, (block) => evidence.runs.delete(block));
    evidence.budgetBytes += run.to - run.from;
    if (evidence.runs.size === 0) this.#chunks.delete(run.chunk.path);
  }

  /** The run is in memory: from now on the memory tier keeps or evicts it. */
  completed(run: BlockRun, bytes: ChunkBytes): void {
    const { path } = run.flight.chunk;
    const evidence = this.#chunks.get(run.chunk.path);
    // Forgotten while it was in flight: the whole chunk has arrived, and readers use that.
    const ended = evidence && this.#end(evidence, run);
    if (ended === undefined) {
      bytes.drop();
      return;
    }
    ended.held = { path, bytes, from: run.from, to: run.to };
    this.#held.set(run, ended.held);
    this.#heldBytes += bytes.sizeBytes;
    this.#memoryTier.put(path, bytes);
    for (const [oldest, held] of this.#held) {
      if (this.#heldBytes <= this.#maxBytes || oldest === run) break;
      this.#memoryTier.delete(held.path);
    }
  }

  /** The memory tier has evicted the run; what it has cost still counts. */
  dropped(run: BlockRun): void {
    this.#heldBytes -= this.#held.get(run)?.bytes.sizeBytes ?? 0;
    this.#held.delete(run);
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
    this.#held.delete(run.reading);
    this.#held.set(run.reading, run.held);
    return run.held;
  }

  #touch(path: ChunkPath): Entry {
    const known = this.#chunks.get(path);
    const evidence = known ?? { runs: new Map<number, Run>(), sequences: [], budgetBytes: 0, readingCount: 0 };
    this.#chunks.delete(path);
    this.#chunks.set(path, evidence);
    // Chunks with reads in flight are not evicted; they are few, since each holds a place in a bounded queue.
    for (const [oldest, { readingCount }] of this.#chunks) {
      if (this.#chunks.size <= this.#maxChunks) break;
      if (readingCount === 0 && oldest !== path) this.forget(oldest);
    }
    return evidence;
  }

  /** Undefined if the chunk was forgotten since the run began. */
  #end(evidence: Entry, run: BlockRun): Run | undefined {
    const found = evidence.runs.get(blocksOf(run).first);
    if (found?.reading !== run) return undefined;
    evidence.readingCount--;
    return found;
  }
}

function eachBlock(run: ByteRange, visit: (block: number) => void): void {
  const { first, end } = blocksOf(run);
  for (let block = first; block < end; block++) visit(block);
}
