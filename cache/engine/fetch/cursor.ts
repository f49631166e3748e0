/**
 * What the rungs of the ladder share: what is read, how far the read has come, and streams through a window of pooled
 * memory.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { blockSizeFor } from '#cache/core/chunk-metadata.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { FillContext } from '#cache/engine/fill/fill.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import type { GhostList } from '#cache/engine/memory/ghost-list.ts';
import type { Inbound } from '#cache/engine/streams/peer-streams.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES, type Lease } from '#cache/engine/memory/lease.ts';
import type { Loads } from '#cache/engine/streams/store-loads.ts';
import type { ChunkMemory, Demand } from '#cache/engine/memory/chunk-memory.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { SparseReads } from '#cache/engine/sparse/reads.ts';
import { Window } from '#cache/engine/streams/window.ts';

/** How long a response that has begun puts up with overload before its client would give up too. */
export const STARTED_PATIENCE_MS = 60_000;
export const OVERLOADED_PAUSE_MS = 1_000;
/** The end of every stream, mostly after its last byte: one for all, since a stack trace costs more than a small read. */
const READER_HAS_GONE = new OrcaError('cancelled', 'the reader has gone');
/** One on its way in, one on its way out. */
const WINDOW_SEGMENTS = 2;
/** Besides a block on its way in: what a slow socket has been handed, and what comes next. */
const SLOW_EXTRA_BYTES = 2 * SMALL_SEGMENT_BYTES;

export interface FetchContext extends FillContext {
  readonly flights: Flights;
  readonly ghosts: GhostList;
  readonly loads: Loads;
  readonly peers: PeerView;
  readonly inbound: Inbound;
  readonly verifyRanges: boolean;
  readonly sparse: SparseReads;
}

export interface ChunkRead {
  readonly chunk: Chunk;
  /** Counts from the chunk's start. */
  readonly range: ByteRange;
  /** `ahead` takes only what memory is to spare, and rejects with `overloaded` else; changes when its turn comes. */
  demand: Demand | 'ahead';
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** So little of so large a chunk that all of it need not be brought. */
  readonly sparse?: boolean;
  /** Of the reader; without one it is taken to be steady. */
  readonly pace?: Pace | undefined;
}

export type Pieces<Outcome> = AsyncGenerator<Piece, Outcome, void>;

/** Why a rung ended: all bytes are out, or the next rung has to go on. */
export type RungOutcome = 'done' | 'missing' | 'bad' | 'failed' | 'refused';

export interface PieceStream {
  next(): Promise<Piece | undefined>;
  close(): void;
}

/** How far a read has come, and what the rungs so far have learned. */
export interface Cursor {
  at: number;
  /** The cachestore has said that it has not got the chunk. */
  absent: boolean;
  /** The cachestore's chunk was found bad and is to be overwritten. */
  bad: boolean;
  /** The cachestore did not answer us: this read does not ask it again. */
  storeFailed: boolean;
  /** The sparse table's moment when the read began. */
  readonly askedAt: number;
  /** Somebody read the chunk lately: it may stay in memory. */
  readonly isAgain: boolean;
}

/** Nothing of it has come yet: the tail of a read that broke off is no sparse read. What is bad is to be filled. */
export function isSparseStill(read: ChunkRead, cursor: Cursor): boolean {
  return read.sparse === true && !cursor.bad && cursor.at === read.range.from;
}

export async function openWindow(
  context: FetchContext,
  read: ChunkRead,
  range: ByteRange,
  source: Source,
  run: (window: Window, signal: AbortSignal, abort: (reason: unknown) => void) => Promise<void>,
): Promise<PieceStream> {
  const window = new Window(await leaseWindow(context, read, range), range, source);
  const ended = new AbortController();
  // By hand: AbortSignal.any costs more than the rest of a small read's bookkeeping.
  const follow = () => ended.abort(read.signal.reason);
  if (read.signal.aborted) follow();
  else read.signal.addEventListener('abort', follow, { once: true });
  const unfollow = () => read.signal.removeEventListener('abort', follow);
  run(window, ended.signal, (reason) => ended.abort(reason))
    .then(
      () => window.finish(),
      (error: unknown) => window.finish(error),
    )
    .finally(unfollow);
  const close = () => {
    unfollow();
    ended.abort(READER_HAS_GONE);
    window.close();
  };
  return { next: () => window.next(), close };
}

/**
 * Two segments, and as many as one block takes where blocks are long: a block leaves whole or not at all. A reader that
 * is slow, and all while memory is short, get by with small ones, since each holds one for as long as its socket takes.
 */
async function leaseWindow(context: FetchContext, read: ChunkRead, range: ByteRange): Promise<Lease> {
  const { memory } = context;
  const rangeBytes = range.to - range.from;
  const blockBytes = blockSizeFor(read.chunk.chunkSizeBytes);
  const isThrifty = read.pace?.isSlow === true || memory.isScarce;
  if (isThrifty && read.demand !== 'ahead') {
    const lengthBytes = Math.min(rangeBytes, blockBytes + SLOW_EXTRA_BYTES);
    return memory.lease(lengthBytes, 'window', read.demand, read.signal, SMALL_SEGMENT_BYTES);
  }
  const blockSegments = Math.ceil(blockBytes / SEGMENT_BYTES) + 1;
  const lengthBytes = Math.min(rangeBytes, Math.max(WINDOW_SEGMENTS, blockSegments) * SEGMENT_BYTES);
  if (read.demand !== 'ahead') return memory.lease(lengthBytes, 'window', read.demand, read.signal);
  return spareLease(memory, lengthBytes);
}

/** For reading ahead: at once or not at all. */
export function spareLease(memory: ChunkMemory, lengthBytes: number): Lease {
  const lease = memory.isRelaxed ? memory.tryLease(lengthBytes, 'window') : undefined;
  if (lease === undefined) throw new OrcaError('overloaded', 'no memory to spare for reading ahead');
  return lease;
}

export async function* drain(stream: PieceStream, cursor: Cursor): Pieces<void> {
  try {
    for (let piece = await stream.next(); piece !== undefined; piece = await stream.next()) {
      cursor.at += piece.bytes.length;
      yield piece;
    }
  } finally {
    stream.close();
  }
}

/** Overload never descends the ladder: a new request is told to come back, a started one asks again for a while. */
export function mayWait(error: unknown, read: ChunkRead, waitedMs: number): error is OrcaError {
  return hasCode(error, 'overloaded') && read.demand === 'started' && waitedMs < STARTED_PATIENCE_MS;
}
