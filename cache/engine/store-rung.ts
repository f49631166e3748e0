/** The cachestore's rung: a ranged read of a stored chunk, every whole block verified before it leaves. */
import type { Chunk } from '../core/chunk.ts';
import { blockSizeFor } from '../core/chunk-metadata.ts';
import { hasCode, type ErrorCode } from '../core/errors.ts';
import type { ByteRange } from '../core/object.ts';
import { ChunkBytes } from './chunk-bytes.ts';
import {
  drain,
  openWindow,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Keeping,
  type Pieces,
  type PieceStream,
  type RungOutcome,
} from './chunk-read.ts';
import { SEGMENT_BYTES } from './lease.ts';
import type { Piece } from './piece.ts';
import { MAX_SEGMENTS } from './window.ts';

/** The store is near: who needs longer for a first byte is as good as away. */
const FIRST_BYTE_MS = 5_000;
const STALL_MS = 10_000;

export async function* fromStore(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<RungOutcome> {
  for (;;) {
    const outcome = yield* readStored(context, read, cursor);
    if (outcome !== 'left') return outcome;
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
  const window = await openWindow(
    context,
    read,
    wide,
    'store',
    (window, signal, abort) =>
      context.store.read(
        chunk,
        wide,
        window,
        (metadata) => {
          context.catalog.add(chunk.path);
          if (metadata !== undefined) window.verify(metadata, abort);
        },
        {
          signal,
          requestId: read.requestId,
          firstByteTimeoutMs: FIRST_BYTE_MS,
          stallTimeoutMs: STALL_MS,
        },
      ),
    mayKeep(context, read, cursor),
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
    const code = fallThroughCode(error, 'chunk_missing', 'chunk_bad', 'store_unavailable');
    context.observer.storeRequest('read', code, context.clock.now() - startedMs);
    context.observer.fallThrough('store', code);
    if (code === 'store_unavailable') {
      cursor.storeFailed = true;
      return 'failed';
    }
    context.catalog.forget(chunk.path);
    cursor.absent = true;
    if (code === 'chunk_missing') return 'missing';
    cursor.bad = true;
    context.observer.warn('the cachestore holds a bad chunk', { chunk: chunk.path, error });
    return 'bad';
  } finally {
    unsubscribe?.();
  }
}

/**
 * A chunk that is read whole, and not for the first time, stays in memory if a window holds all of it anyway. Only the
 * room that is to spare is taken, or that of chunks which nobody reads any more.
 */
function mayKeep(context: FetchContext, read: ChunkRead, cursor: Cursor): Keeping | undefined {
  const { memory, memoryTier } = context;
  const { path, lengthBytes } = read.chunk;
  const isWhole = cursor.at === 0 && read.range.to === lengthBytes;
  if (!cursor.isAgain || !isWhole || lengthBytes > MAX_SEGMENTS * SEGMENT_BYTES) return undefined;
  if (read.pace?.isSlow === true || !memory.isRelaxed) return undefined;
  const lease = memory.tryLease(lengthBytes, 'fill');
  if (lease === undefined) return undefined;
  return {
    lease,
    onWhole(lease, segments) {
      const bytes = new ChunkBytes(lease, lengthBytes, undefined, segments);
      if (memoryTier.get(path) === undefined) memoryTier.put(path, bytes);
      else bytes.drop();
    },
  };
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

function fallThroughCode(error: unknown, ...codes: readonly ErrorCode[]): ErrorCode {
  if (hasCode(error, ...codes)) return error.code;
  throw error;
}
