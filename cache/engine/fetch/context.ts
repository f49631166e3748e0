/** What the sources of a chunk share: the engine's parts they use, the read, and the cursor that moves through it. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, type OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { FillContext } from '#cache/engine/fill/fill.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import type { GhostList } from '#cache/engine/memory/ghost-list.ts';
import { STARTED_WAIT_MS } from '#cache/engine/memory/lease-queue.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import type { Demand, PeerView } from '#cache/engine/ports.ts';
import type { SparseReads } from '#cache/engine/sparse/reads.ts';
import type { CommitWatch } from '#cache/engine/streams/commit-watch.ts';
import type { PeerStreams } from '#cache/engine/streams/peer-streams.ts';
import type { Pace } from '#cache/engine/streams/reader-pace.ts';
import type { StoreLoads } from '#cache/engine/streams/store-loads.ts';

/** Between two attempts of a response that has started: the pause that Retry-After asks of clients. */
export const OVERLOADED_PAUSE_MS = 1_000;

/** As long as a client waits for a store that starts to fail: a read that has waited longer elsewhere queries it again. */
const STORE_RETRY_MS = 1_000;

export interface FetchContext extends FillContext {
  readonly flights: Flights;
  readonly ghosts: GhostList;
  /** Chunks that another replica has sent from its memory: the next time, they may be loaded into this one's. */
  readonly heldByPeers: GhostList;
  readonly storeLoads: StoreLoads;
  readonly peers: PeerView;
  readonly peerStreams: PeerStreams;
  readonly commits: CommitWatch;
  readonly verifyRanges: boolean;
  readonly sparse: SparseReads;
}

export interface ChunkRead {
  readonly chunk: Chunk;
  /** Counts from the chunk's start. */
  readonly range: ByteRange;
  /**
   * `ahead` takes only spare memory, or rejects with `overloaded`; it becomes `started` when the chunk's turn comes.
   */
  demand: Demand | 'ahead';
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** The range is such a small part of the chunk that the whole chunk need not be fetched. */
  readonly sparse?: boolean;
  /** The client's pace; without one it counts as steady. */
  readonly pace?: Pace | undefined;
}

export type Pieces<Outcome> = AsyncGenerator<Piece, Outcome, void>;

/**
 * How a source ended: all bytes are delivered (`done`), or the next source continues at the cursor. `refused`: the
 * peer's view of the cluster differs from ours.
 */
export type SourceOutcome = 'done' | 'missing' | 'corrupt' | 'failed' | 'refused';

/** The position of a read, and what the sources so far have learned. */
export interface Cursor {
  at: number;
  /** The cachestore answered that it does not have the chunk. */
  absent: boolean;
  /** The cachestore's chunk failed verification and is to be overwritten. */
  corrupt: boolean;
  /** When the cachestore last failed to answer this replica; undefined = not during this read. */
  storeFailedMs: number | undefined;
  /** The ghost list contains the chunk: it may be loaded into memory. */
  readonly wasReadLately: boolean;
}

export function startCursor(context: FetchContext, read: ChunkRead): Cursor {
  const wasReadLately = context.ghosts.touch(read.chunk.path);
  return { at: read.range.from, absent: false, corrupt: false, storeFailedMs: undefined, wasReadLately };
}

/** This read does not query the cachestore now. It tries again later: waiting for a peer may have taken seconds. */
export function storeFailedRecently({ clock }: FetchContext, { storeFailedMs }: Cursor): boolean {
  return storeFailedMs !== undefined && clock.now() - storeFailedMs < STORE_RETRY_MS;
}

/** The bytes that are not read yet. */
export function remaining(read: ChunkRead, cursor: Cursor): ByteRange {
  return { from: cursor.at, to: read.range.to };
}

/** Still sparse: no bytes have arrived yet (the tail of a broken read is not sparse), and no repair is necessary. */
export function isStillSparse(read: ChunkRead, cursor: Cursor): boolean {
  return read.sparse === true && !cursor.corrupt && cursor.at === read.range.from;
}

export interface PieceReader {
  next(): Promise<Piece | undefined>;
  /** Ends the reader early: `next` resolves with undefined. */
  pass(): void;
  close(): void;
}

/** Yields a reader's pieces and moves the cursor; closes the reader and calls `onEnd` when the pieces end. */
export async function* drain(reader: Omit<PieceReader, 'pass'>, cursor: Cursor, onEnd?: () => void): Pieces<void> {
  try {
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
      cursor.at += piece.bytes.length;
      yield piece;
    }
  } finally {
    reader.close();
    onEnd?.();
  }
}

/**
 * The same, until the client stalls: then the reader ends early, at the cursor, and releases the memory that it holds.
 * The bytes can be fetched again when the client continues.
 */
export function drainUntilStall(reader: PieceReader, read: ChunkRead, cursor: Cursor): Pieces<void> {
  return drain(
    reader,
    cursor,
    read.pace?.onStall(() => reader.pass()),
  );
}

/**
 * Whether a read that met overload tries again. Overload never falls through to the next source: a new request has
 * to retry later, and one whose response has started tries again for a while.
 */
export function mayRetryOverload(error: unknown, read: ChunkRead, waitedMs: number): error is OrcaError {
  return hasCode(error, 'overloaded') && read.demand === 'started' && waitedMs < STARTED_WAIT_MS;
}
