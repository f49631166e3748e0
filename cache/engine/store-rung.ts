/** The cachestore's rung: a ranged read of a stored chunk, every whole block verified before it leaves. */
import type { Chunk } from '../core/chunk.ts';
import { blockSizeFor } from '../core/chunk-metadata.ts';
import { hasCode, type OrcaError } from '../core/errors.ts';
import type { ByteRange } from '../core/object.ts';
import { EVICTED, type ArrivingReader } from './arriving.ts';
import {
  drain,
  openWindow,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type PieceStream,
  type RungOutcome,
} from './chunk-read.ts';
import type { Piece } from './piece.ts';

/** The store is near: who needs longer for a first byte is as good as away. */
const FIRST_BYTE_MS = 5_000;
const STALL_MS = 10_000;

export async function* fromStore(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome> {
  // Once: memory that was short a moment ago is nothing to count on.
  const along = readAlong(context, read, cursor);
  if (along !== undefined) {
    const outcome = yield* along;
    if (outcome !== 'left') return outcome;
  }
  for (;;) {
    const outcome = yield* readStored(context, read, cursor);
    if (outcome !== 'left') return outcome;
  }
}

/**
 * With all others who read the chunk just now: into memory, if it is read again and whole. `left` when the reader had
 * stopped.
 */
function readAlong(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome | 'left'> | undefined {
  const { loads } = context;
  const rest = { ...read, range: { from: cursor.at, to: read.range.to } };
  const joined = loads.join(rest) ?? (cursor.isAgain ? loads.start(rest, callOf(read)) : undefined);
  return joined === undefined ? undefined : drainAlong(joined);

  async function* drainAlong(reader: ArrivingReader): Pieces<RungOutcome | 'left'> {
    const unsubscribe = read.pace?.onStall(() => reader.leave());
    try {
      yield* drain(reader, cursor);
      return 'done';
    } catch (error) {
      if (hasCode(error, 'chunk_missing') && error.details === EVICTED) return 'left';
      return fallThrough(context, read, cursor, asFailure(error));
    } finally {
      unsubscribe?.();
    }
  }
}

/** One ranged read; `left` when the reader had stopped, and what was fetched for it was given back meanwhile. */
async function* readStored(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome | 'left'> {
  const { chunk } = read;
  const range = { from: cursor.at, to: read.range.to };
  const startedMs = context.clock.now();
  // With verifyRanges the read is widened to whole blocks, so that every byte of it has a CRC. A block in which another
  // source broke off is read whole too: the client asked for all of it.
  const wide = context.verifyRanges
    ? wholeBlocks(chunk, range)
    : { ...range, from: Math.max(wholeBlocks(chunk, range).from, read.range.from) };
  const window = await openWindow(context, read, wide, 'store', (window, signal, abort) =>
    context.store.read(
      chunk,
      wide,
      window,
      (metadata) => {
        context.catalog.add(chunk.path);
        if (metadata !== undefined) window.verify(metadata, abort);
      },
      { ...callOf(read), signal },
    ),
  );
  let left = false;
  const unsubscribe = read.pace?.onStall(() => {
    left = true;
    window.close();
  });
  try {
    yield* drain(trimmed(window, wide.from, range), cursor);
    context.observer.storeRequest('read', 'ok', context.clock.now() - startedMs);
    return 'done';
  } catch (error) {
    if (left && !read.signal.aborted && hasCode(error, 'cancelled')) {
      context.observer.storeRequest('read', 'given_back', context.clock.now() - startedMs);
      return 'left';
    }
    const failure = asFailure(error);
    context.observer.storeRequest('read', failure.code, context.clock.now() - startedMs);
    return fallThrough(context, read, cursor, failure);
  } finally {
    unsubscribe?.();
  }
}

function callOf({ requestId }: ChunkRead) {
  return { requestId, firstByteTimeoutMs: FIRST_BYTE_MS, stallTimeoutMs: STALL_MS };
}

/** What only ends this rung; throws what ends the read. */
function asFailure(error: unknown): OrcaError {
  if (hasCode(error, 'chunk_missing', 'chunk_bad', 'store_unavailable')) return error;
  throw error;
}

/** What the next rung is to know of it. */
function fallThrough(context: FetchContext, { chunk }: ChunkRead, cursor: Cursor, error: OrcaError): RungOutcome {
  context.observer.fallThrough('store', error.code);
  if (error.code === 'store_unavailable') {
    cursor.storeFailed = true;
    return 'failed';
  }
  context.catalog.forget(chunk.path);
  cursor.absent = true;
  if (error.code === 'chunk_missing') return 'missing';
  cursor.bad = true;
  context.observer.warn('the cachestore holds a bad chunk', { chunk: chunk.path, error });
  return 'bad';
}

/** Cuts a widened read back to the range that was asked for. */
function trimmed(stream: PieceStream, startsAt: number, range: ByteRange): PieceStream {
  let at = startsAt;
  const next = async (): Promise<Piece | undefined> => {
    for (;;) {
      const piece = await stream.next();
      if (piece === undefined) return undefined;
      const from = Math.max(range.from - at, 0);
      const to = Math.min(range.to - at, piece.bytes.length);
      at += piece.bytes.length;
      if (from === 0 && to === piece.bytes.length) return piece;
      if (from < to) return { ...piece, bytes: piece.bytes.subarray(from, to) };
      piece.release();
    }
  };
  return { next, close: () => stream.close() };
}

function wholeBlocks(chunk: Chunk, range: ByteRange): ByteRange {
  const block = blockSizeFor(chunk.chunkSizeBytes);
  return {
    from: Math.floor(range.from / block) * block,
    to: Math.min(Math.ceil(range.to / block) * block, chunk.lengthBytes),
  };
}
