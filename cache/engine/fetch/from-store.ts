/** Source: the cachestore. A ranged read of a stored chunk; every whole block is verified before it leaves. */
import { blockSizeFor } from '#cache/core/chunk-metadata.ts';
import { chunkFields, type Chunk } from '#cache/core/chunk.ts';
import { hasCode, type ErrorCode, type OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { abortable } from '#shared/abortable.ts';
import type { Lookup } from '#cache/engine/streams/store-lookups.ts';
import { openStoreStream } from '#cache/engine/streams/store-stream.ts';
import {
  remaining,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type PieceReader,
  type Pieces,
  type SourceOutcome,
} from './context.ts';

/** The cachestore is near: a first byte that takes longer counts as an outage. */
const FIRST_BYTE_MS = 5_000;
/** Without a byte later on: a store that has answered gets more time. */
const STALL_MS = 10_000;

/** `passed`: the client stalled, and its buffers were released meanwhile. */
type End = 'done' | 'passed' | OrcaError;

export function fromStore(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  const isKnown = context.catalog.has(read.chunk.path);
  return isKnown ? readOrLoad(context, read, cursor) : fromUnknown(context, read, cursor);
}

async function* fromUnknown(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  const { catalog, storeLookups } = context;
  const { path } = read.chunk;
  while (!catalog.has(path)) {
    const inFlight = storeLookups.find(path);
    if (inFlight === undefined) return yield* lookUp(context, read, cursor, storeLookups.begin(path));
    const found = await abortable(inFlight, read.signal);
    if (found === 'missing') {
      cursor.absent = true;
      return found;
    }
    // Otherwise it waits for no other reader again: failures may take long.
    if (found !== 'cancelled') break;
  }
  return yield* readOrLoad(context, read, cursor);
}

/** The first read of a chunk that no catalog lists: other readers wait for its first byte, or its failure. */
async function* lookUp(
  context: FetchContext,
  read: ChunkRead,
  cursor: Cursor,
  settle: (found: Lookup) => void,
): Pieces<SourceOutcome> {
  const pieces = readOrLoad(context, read, cursor);
  try {
    let next = await pieces.next();
    settle(next.done === true ? lookupOf(next.value) : 'stored');
    for (; next.done !== true; next = await pieces.next()) yield next.value;
    return next.value;
  } catch (error) {
    if (!read.signal.aborted) settle('failed');
    throw error;
  } finally {
    settle('cancelled');
    await pieces.return('failed');
  }
}

function lookupOf(outcome: SourceOutcome): Lookup {
  return outcome === 'missing' ? outcome : 'failed';
}

/** One generator for all steps: with one for each, passing a piece on costs as much as a small read. */
async function* readOrLoad(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  // Only the first attempt joins a load: after a stall the reader continues with ranged reads of its own.
  let load = joinLoad(context, read, cursor);
  for (;;) {
    const startedMs = context.clock.now();
    const reader: PieceReader = load ?? (await openStored(context, read, cursor));
    // A stalled client's reader ends early, at the cursor, and releases the memory that it holds.
    const unsubscribe = read.pace?.onStall(() => reader.pass());
    let end: End;
    try {
      for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
        cursor.at += piece.bytes.length;
        yield piece;
      }
      end = cursor.at < read.range.to ? 'passed' : 'done';
    } catch (error) {
      end = failureOf(error);
    } finally {
      reader.close();
      unsubscribe?.();
    }
    if (load === undefined) context.observer.storeRequest('read', outcomeOf(end), context.clock.now() - startedMs);
    if (end === 'done') return 'done';
    if (end !== 'passed') return fallThrough(context, read, cursor, end);
    load = undefined;
  }
}

/** Shares one load of the chunk into memory with its other readers, if it is read whole and not for the first time. */
function joinLoad({ storeLoads }: FetchContext, read: ChunkRead, cursor: Cursor): PieceReader | undefined {
  const rest = { ...read, range: remaining(read, cursor) };
  return storeLoads.join(rest) ?? (cursor.wasReadLately ? storeLoads.start(rest, callOf(read)) : undefined);
}

/** Returns a failure that the next source can make up for; throws any other. */
function failureOf(error: unknown): OrcaError {
  if (hasCode(error, 'chunk_missing', 'chunk_bad', 'store_unavailable')) return error;
  throw error;
}

function openStored(context: FetchContext, read: ChunkRead, cursor: Cursor): Promise<PieceReader> {
  const range = remaining(read, cursor);
  return openStoreStream(context, read, { range, fetched: fetchedRange(context, read, range) }, callOf(read));
}

/**
 * With `verifyRanges` the read is widened to whole blocks, so that every byte of it has a CRC. A block in which another
 * source broke off is read whole too, as the client requested all of it.
 */
function fetchedRange({ verifyRanges }: FetchContext, { chunk, range: asked }: ChunkRead, range: ByteRange): ByteRange {
  const whole = wholeBlocks(chunk, range);
  return verifyRanges ? whole : { ...range, from: Math.max(whole.from, asked.from) };
}

function wholeBlocks(chunk: Chunk, range: ByteRange): ByteRange {
  const block = blockSizeFor(chunk.chunkSizeBytes);
  return {
    from: Math.floor(range.from / block) * block,
    to: Math.min(Math.ceil(range.to / block) * block, chunk.lengthBytes),
  };
}

function outcomeOf(end: End): 'ok' | 'buffers_released' | ErrorCode {
  if (end === 'done') return 'ok';
  return end === 'passed' ? 'buffers_released' : end.code;
}

function callOf({ requestId }: ChunkRead) {
  return { requestId, firstByteTimeoutMs: FIRST_BYTE_MS, stallTimeoutMs: STALL_MS };
}

/** Records on the cursor what the next source has to know. */
function fallThrough(context: FetchContext, { chunk }: ChunkRead, cursor: Cursor, error: OrcaError): SourceOutcome {
  // Evicted by another replica: no trouble, unlike a chunk that a coordinator has just stored.
  const isEvicted = error.code === 'chunk_missing' && context.catalog.has(chunk.path);
  context.observer.fallThrough('store', isEvicted ? 'evicted' : error.code);
  if (error.code === 'store_unavailable') {
    cursor.storeFailedMs = context.clock.now();
    return 'failed';
  }
  context.catalog.forget(chunk.path);
  cursor.absent = true;
  if (error.code === 'chunk_missing') return 'missing';
  cursor.corrupt = true;
  context.observer.warn('cachestore: a stored chunk is corrupt and will be overwritten', {
    chunk: chunkFields(chunk),
    error,
  });
  return 'corrupt';
}
