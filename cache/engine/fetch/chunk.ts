/**
 * The ladder for one chunk: memory → cachestore → coordinator → runner-up → local fill. It only descends; a rung that
 * breaks after some bytes is left at that offset and the next goes on from there.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { rankPeers } from '#cache/core/rendezvous.ts';
import {
  drain,
  isSparseStill,
  mayWait,
  OVERLOADED_PAUSE_MS,
  STARTED_PATIENCE_MS,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type RungOutcome,
} from './cursor.ts';
import type { FlightReader } from '#cache/engine/fill/flight.ts';
import { handOutOf } from '#cache/engine/streams/view-or-copy.ts';
import { fromLeaving, fromPeer } from './from-peer.ts';
import type { SparseReader } from '#cache/engine/sparse/reader.ts';
import { fromStore } from './from-store.ts';

/** The bytes of `read.range`, in order. Each piece is the caller's to release. */
export async function* fetchChunk(context: FetchContext, read: ChunkRead): Pieces<void> {
  const cursor = startOf(context, read);
  try {
    if ((yield* fromMemory(context, read, cursor)) === 'done') return;
  } catch (error) {
    // A fill that gave way to overload is no end for a response that has started: the other rungs have more patience.
    if (!mayWait(error, read, 0)) throw error;
  }
  if (context.catalog.has(read.chunk.path) && (yield* fromStore(context, read, cursor)) === 'done') return;
  const { owners, terminating, self } = context.peers.current();
  // A replica that drains may still have it, and must not be asked to begin anything.
  const [leaving] = rankPeers(read.chunk.path, [...owners, ...terminating], 1);
  if (leaving !== undefined && leaving !== self && terminating.includes(leaving)) {
    if ((yield* fromLeaving(context, read, cursor, leaving)) === 'done') return;
  }
  const [coordinator = self, runnerUp] = rankPeers(read.chunk.path, owners, 2);
  if (coordinator !== self) {
    const outcome = yield* fromPeer(context, read, cursor, coordinator, 1);
    if (outcome === 'done') return;
    // Where views differ nobody else's is better than ours: we fill, and say so to no third.
    if (outcome !== 'refused' && runnerUp !== undefined && runnerUp !== self) {
      if ((yield* fromPeer(context, read, cursor, runnerUp, 2)) === 'done') return;
    }
  }
  yield* locally(context, read, cursor);
}

/** The same without other replicas: for one that was asked by them. */
export function fetchLocally(context: FetchContext, read: ChunkRead): Pieces<void> {
  return locally(context, read, startOf(context, read));
}

function startOf(context: FetchContext, read: ChunkRead): Cursor {
  const askedAt = context.sparseTable.moment;
  const isAgain = context.ghosts.touch(read.chunk.path);
  return { at: read.range.from, absent: false, bad: false, storeFailed: false, askedAt, isAgain };
}

/** Memory tier, or a fill that runs here anyway. */
async function* fromMemory(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome> {
  const { path } = read.chunk;
  if (context.flights.get(path) !== undefined) return yield* fromFlight(context, read, cursor);
  const bytes = context.memoryTier.get(path);
  if (bytes === undefined) return 'missing';
  const handOut = handOutOf(context.memory, read.pace);
  while (cursor.at < read.range.to) {
    if (bytes.isDropped) return 'missing';
    const piece = handOut(bytes, cursor.at, read.range.to, 'memory');
    cursor.at += piece.bytes.length;
    yield piece;
  }
  return 'done';
}

/** This replica coordinates the chunk, or nobody who should is there. */
async function* locally(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<void> {
  const sinceMs = context.clock.now();
  for (;;) {
    try {
      // It may have come while other rungs were asked.
      if ((yield* fromMemory(context, read, cursor)) === 'done') return;
      // Blocks that are here or on their way: the cachestore was asked before these were.
      if (isCovered(context, read, cursor) && (yield* fromFlight(context, read, cursor)) === 'done') return;
      // A ranged GET first, no HEAD: after a restart the catalog is empty and the cachestore is not.
      if (!cursor.absent && !cursor.storeFailed && (yield* fromStore(context, read, cursor)) === 'done') return;
      if ((yield* fromFlight(context, read, cursor)) === 'done') return;
    } catch (error) {
      if (!mayWait(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(OVERLOADED_PAUSE_MS, read.signal);
    }
    if (context.clock.now() - sinceMs > STARTED_PATIENCE_MS)
      throw new OrcaError('origin_unavailable', `chunk ${read.chunk.path} could be had from nowhere`);
  }
}

function isCovered(context: FetchContext, read: ChunkRead, cursor: Cursor): boolean {
  return isSparseStill(read, cursor) && context.sparseTable.covers(read.chunk.path, read.range);
}

/**
 * Joins or starts the chunk's fill, or a sparse read, and reads along; `missing` when the bytes are in memory or in the
 * store instead.
 */
async function* fromFlight(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome> {
  const { chunk, demand, signal } = read;
  const knownAbsent = cursor.absent || cursor.storeFailed;
  const reader = join();
  if (reader === undefined) return hasCome(cursor);
  try {
    if ((await reader.opened()) === 'stored') return hasCome(cursor);
    yield* drain(reader, cursor);
    return 'done';
  } catch (error) {
    if (hasCode(error, 'chunk_missing')) return hasCome(cursor);
    throw error;
  } finally {
    reader.close();
  }

  function join(): FlightReader | SparseReader | undefined {
    const { askedAt } = cursor;
    const filling = context.flights.get(chunk.path) !== undefined;
    // What a fill has not come to yet may be here from before it.
    const sparse = filling ? isCovered(context, read, cursor) : isSparseStill(read, cursor);
    const blocks = sparse
      ? context.sparse.enter({ chunk, range: read.range, demand, askedAt, knownAbsent, signal })
      : undefined;
    if (blocks !== undefined) return blocks;
    const flight = context.flights.enter({ chunk, demand, knownAbsent, overwrite: cursor.bad, proven: sparse });
    return flight?.join({ from: cursor.at, to: read.range.to }, signal, handOutOf(context.memory, read.pace));
  }
}

/** Filled or found since the cachestore was asked: what it said or failed to say then is of no use now. */
function hasCome(cursor: Cursor): 'missing' {
  cursor.absent = false;
  cursor.storeFailed = false;
  return 'missing';
}
