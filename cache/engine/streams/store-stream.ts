/** One ranged read of a stored chunk through a window of its own: memory for it, the request, and its end. */
import { blockSizeFor } from '#cache/core/chunk-metadata.ts';
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES, type Lease } from '#cache/engine/memory/lease.ts';
import type { CallOptions, ChunkStore } from '#cache/engine/ports.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import type { Pace } from './reader-pace.ts';
import type { StreamRead, StreamReader } from './stream-reader.ts';
import { StreamWindow } from './stream-window.ts';

/** One segment coming in, one going out. */
const WINDOW_SEGMENTS = 2;
/** Beside a block that is coming in: one small segment at a slow socket, and the next one. */
const SLOW_EXTRA_BYTES = 2 * SMALL_SEGMENT_BYTES;
/** One instance: a stack trace costs more than a small read. */
const READER_CLOSED = new OrcaError('cancelled', 'the reader has closed the stream');

export interface StoreStreamContext {
  readonly store: ChunkStore;
  readonly memory: ChunkMemory;
  readonly catalog: Catalog;
}

export interface StoreRead extends StreamRead {
  readonly chunk: Chunk;
  readonly pace?: Pace | undefined;
}

/**
 * Reads `fetched` from the cachestore; the reader gets `range`, which lies within it. A wider fetch covers whole
 * blocks, so that their CRCs can be checked.
 */
export async function openStoreStream(
  { store, memory, catalog }: StoreStreamContext,
  read: StoreRead,
  { range, fetched }: { readonly range: ByteRange; readonly fetched: ByteRange },
  timeouts: Omit<CallOptions, 'signal'>,
): Promise<StreamReader> {
  const lease = await leaseWindow(memory, read, fetched);
  // Granted in the same moment in which the reader left.
  if (read.signal.aborted) lease.close();
  read.signal.throwIfAborted();
  const ended = new AbortController();
  const window = new StreamWindow({
    memory,
    range: fetched,
    source: 'store',
    isShared: false,
    // The reader of a small range leaves after the read has ended.
    onEmpty: () => {
      if (window.end === undefined) ended.abort(READER_CLOSED);
    },
  });
  window.open(lease);
  const reader = window.join(range, read);
  const onInfo: Parameters<ChunkStore['read']>[3] = (metadata) => {
    catalog.add(read.chunk.path);
    if (metadata !== undefined) window.verify(metadata, (error) => ended.abort(error));
  };
  store.read(read.chunk, fetched, window, onInfo, { ...timeouts, signal: ended.signal }).then(
    () => window.finish({ answer: { kind: 'bytes' } }),
    (error: unknown) => window.finish({ error }),
  );
  return reader;
}

/**
 * Two segments, or more where blocks are long: a block leaves whole or not at all. Slow readers, and all readers while
 * memory is scarce, get small segments, since each reader holds one for as long as its socket takes.
 */
async function leaseWindow(memory: ChunkMemory, read: StoreRead, fetched: ByteRange): Promise<Lease> {
  const fetchedBytes = fetched.to - fetched.from;
  const blockBytes = blockSizeFor(read.chunk.chunkSizeBytes);
  const isThrifty = read.pace?.isSlow === true || memory.isScarce;
  if (isThrifty && read.demand !== 'ahead') {
    const lengthBytes = Math.min(fetchedBytes, blockBytes + SLOW_EXTRA_BYTES);
    return memory.lease(lengthBytes, 'window', read.demand, read.signal, SMALL_SEGMENT_BYTES);
  }
  const blockSegments = Math.ceil(blockBytes / SEGMENT_BYTES) + 1;
  const lengthBytes = Math.min(fetchedBytes, Math.max(WINDOW_SEGMENTS, blockSegments) * SEGMENT_BYTES);
  if (read.demand !== 'ahead') return memory.lease(lengthBytes, 'window', read.demand, read.signal);
  return memory.leaseSpare(lengthBytes);
}
