/**
 * Source: the origin, through a fill or a sparse read that runs on this replica. Requests for the same chunk join the
 * fill that is in flight.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { FlightReader } from '#cache/engine/fill/flight.ts';
import { STARTED_WAIT_MS } from '#cache/engine/memory/lease-queue.ts';
import type { SparseReader } from '#cache/engine/sparse/reader.ts';
import { viewOrCopy } from '#cache/engine/streams/view-or-copy.ts';
import {
  drain,
  isStillSparse,
  mayRetryOverload,
  OVERLOADED_PAUSE_MS,
  remaining,
  startCursor,
  storeFailedRecently,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type SourceOutcome,
} from './context.ts';
import { fromMemory } from './from-memory.ts';
import { fromStore } from './from-store.ts';

/** The last source: this replica coordinates the chunk, or no other replica could provide it. */
export async function* fromOrigin(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<void> {
  const sinceMs = context.clock.now();
  for (;;) {
    try {
      // The chunk may have arrived while other sources were tried.
      if ((yield* fromFlightOrMemory(context, read, cursor)) === 'done') return;
      // Its blocks are here or in flight: they were fetched after the cachestore lookup.
      if (isCovered(context, read, cursor) && (yield* fromFill(context, read, cursor)) === 'done') return;
      // A ranged GET first, without a HEAD: after a restart the catalog is empty, but the cachestore is not. A fill that
      // another replica's request has just started looks for itself.
      if (
        !cursor.absent &&
        context.flights.get(read.chunk.path) === undefined &&
        !storeFailedRecently(context, cursor) &&
        (yield* fromStore(context, read, cursor)) === 'done'
      )
        return;
      if ((yield* fromFill(context, read, cursor)) === 'done') return;
    } catch (error) {
      if (!mayRetryOverload(error, read, context.clock.now() - sinceMs)) throw error;
      await context.clock.sleep(OVERLOADED_PAUSE_MS, read.signal);
    }
    if (context.clock.now() - sinceMs > STARTED_WAIT_MS)
      throw new OrcaError('origin_unavailable', `chunk ${read.chunk.path} is not available from any source`);
  }
}

/** The same for a request from another replica: no further replica is involved. */
export function fetchLocally(context: FetchContext, read: ChunkRead): Pieces<void> {
  return fromOrigin(context, read, startCursor(context, read));
}

/** Reads from the chunk's running fill, if there is one, otherwise from the memory tier. */
export function fromFlightOrMemory(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  const isFilling = context.flights.get(read.chunk.path) !== undefined;
  return isFilling ? fromFill(context, read, cursor) : fromMemory(context, read, cursor);
}

/** Joins or starts the chunk's fill, or a sparse read; `missing` when the bytes are in memory or the store instead. */
async function* fromFill(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  const reader = joinFill(context, read, cursor);
  if (reader === undefined) return foundElsewhere(cursor);
  try {
    if ((await reader.opened()) === 'stored') return foundElsewhere(cursor);
    // A fill continues while its client stalls: abandoned, it would be started again.
    yield* drain(reader, cursor);
    return 'done';
  } catch (error) {
    if (hasCode(error, 'chunk_missing')) return foundElsewhere(cursor);
    throw error;
  } finally {
    reader.close();
  }
}

function joinFill(context: FetchContext, read: ChunkRead, cursor: Cursor): FlightReader | SparseReader | undefined {
  const { chunk, demand, signal } = read;
  const knownAbsent = cursor.absent || storeFailedRecently(context, cursor);
  const isFilling = context.flights.get(chunk.path) !== undefined;
  // Blocks that the running fill has not reached yet may be in memory from before it.
  const sparse = isFilling ? isCovered(context, read, cursor) : isStillSparse(read, cursor);
  const blocks = sparse ? context.sparse.enter({ chunk, range: read.range, demand, knownAbsent, signal }) : undefined;
  if (blocks !== undefined) return blocks;
  const flight = context.flights.enter({ chunk, demand, knownAbsent, overwrite: cursor.corrupt, proven: sparse });
  return flight?.join(remaining(read, cursor), signal, viewOrCopy(context.memory, read.pace));
}

function isCovered(context: FetchContext, read: ChunkRead, cursor: Cursor): boolean {
  return isStillSparse(read, cursor) && context.blockTable.covers(read.chunk.path, read.range);
}

/** Filled or found since the cachestore lookup: the earlier result, or failure, is out of date. */
function foundElsewhere(cursor: Cursor): 'missing' {
  cursor.absent = false;
  cursor.storeFailedMs = undefined;
  return 'missing';
}
