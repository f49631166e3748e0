/** The cachestore's rung: a ranged read of a stored chunk, every whole block verified before it leaves. */
import type { Chunk } from '#cache/core/chunk.ts';
import { blockSizeFor } from '#cache/core/chunk-metadata.ts';
import { hasCode, type ErrorCode, type OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import {
  drain,
  openWindow,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type PieceStream,
  type RungOutcome,
} from './cursor.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';

/** The store is near: who needs longer for a first byte is as good as away. */
const FIRST_BYTE_MS = 5_000;
const STALL_MS = 10_000;

type Ended = 'done' | 'left' | OrcaError;

export async function* fromStore(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome> {
  // Once: memory that was short a moment ago is nothing to count on.
  const along = joinLoad(context, read, cursor);
  let ended = along === undefined ? 'left' : yield* drainUntilStopped(along, read, cursor);
  while (ended === 'left') ended = yield* readStored(context, read, cursor);
  return ended === 'done' ? 'done' : fallThrough(context, read, cursor, ended);
}

/** With all others who read the chunk just now: into memory, if it is read again and whole. */
function joinLoad({ loads }: FetchContext, read: ChunkRead, cursor: Cursor): PieceStream | undefined {
  const rest = { ...read, range: { from: cursor.at, to: read.range.to } };
  return loads.join(rest) ?? (cursor.isAgain ? loads.start(rest, callOf(read)) : undefined);
}

/**
 * `left` when the reader had stopped, and what was fetched for it was given back meanwhile; or else the failure that ends
 * this rung. Throws what ends the read.
 */
async function* drainUntilStopped(stream: PieceStream, read: ChunkRead, cursor: Cursor): Pieces<Ended> {
  let left = false;
  const unsubscribe = read.pace?.onStall(() => {
    left = true;
    stream.close();
  });
  try {
    yield* drain(stream, cursor);
    return 'done';
  } catch (error) {
    if (left && !read.signal.aborted && hasCode(error, 'cancelled')) return 'left';
    if (hasCode(error, 'chunk_missing', 'chunk_bad', 'store_unavailable')) return error;
    throw error;
  } finally {
    unsubscribe?.();
  }
}

/** One ranged read. */
async function* readStored(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<Ended> {
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
  const ended = yield* drainUntilStopped(trimmed(window, wide.from, range), read, cursor);
  context.observer.storeRequest('read', toldAs(ended), context.clock.now() - startedMs);
  return ended;
}

function toldAs(ended: Ended): 'ok' | 'given_back' | ErrorCode {
  if (ended === 'done') return 'ok';
  return ended === 'left' ? 'given_back' : ended.code;
}

function callOf({ requestId }: ChunkRead) {
  return { requestId, firstByteTimeoutMs: FIRST_BYTE_MS, stallTimeoutMs: STALL_MS };
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
