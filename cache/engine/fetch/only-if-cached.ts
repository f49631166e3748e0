/** `only-if-cached` (RFC 9111 §5.2.1.7): a read that must not query the origin, neither for metadata nor for bytes. */
import { chunkAt, sliceAt, sliceCount, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import { isInStore } from '#cache/engine/upstream/store-query.ts';
import type { FetchContext } from './context.ts';

/** Chunks of one read: 8 GiB of base chunks. The client waits for one question each, unless the catalog has it. */
const MAX_CHUNKS = 1024;
/** Concurrent questions to the cachestore. */
const CONCURRENCY = 16;

interface Wanted {
  readonly object: ObjectVersion;
  readonly range: ByteRange;
  readonly chunkSizeBytes: number;
}

export function notCached(what: string): OrcaError {
  return new OrcaError('not_cached', `only-if-cached: ${what}`);
}

/**
 * Rejects with `not_cached` unless every chunk of the range is in memory or in the cachestore. One that disappears
 * after this check is read from the origin after all, because the response has started.
 */
export async function requireStored(
  context: FetchContext,
  { object, range, chunkSizeBytes }: Wanted,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  const count = sliceCount(range, chunkSizeBytes);
  if (count > MAX_CHUNKS) throw notCached(`the range has ${count} chunks, more than ${MAX_CHUNKS} are not looked up`);
  let next = 0;
  const look = async (): Promise<void> => {
    while (next < count) {
      const chunk = chunkAt(object, chunkSizeBytes, sliceAt(range, chunkSizeBytes, next++).index, prefix);
      if (await isStored(context, chunk, signal)) continue;
      next = count;
      throw notCached(`chunk ${chunk.index} is not stored`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, CONCURRENCY) }, look));
}

async function isStored(
  { memoryTier, catalog, store }: FetchContext,
  chunk: Chunk,
  signal: AbortSignal,
): Promise<boolean> {
  if (memoryTier.get(chunk.path) !== undefined || catalog.has(chunk.path)) return true;
  // Not readable is not stored.
  return isInStore(store, chunk, signal, () => {});
}
