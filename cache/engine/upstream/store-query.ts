/** Whether the cachestore has a chunk: one HEAD. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode, type ErrorCode } from '#cache/core/errors.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';

/** The cachestore is near: a slower answer is not worth waiting for. */
const TIMEOUT_MS = 2_000;

/** A cachestore that does not answer, or not with a readable chunk, counts as one without it, and `onFailure` is called. */
export async function isInStore(
  store: ChunkStore,
  chunk: Chunk,
  signal: AbortSignal,
  onFailure: (code: ErrorCode) => void,
): Promise<boolean> {
  try {
    return await store.has(chunk, { signal, firstByteTimeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!hasCode(error, 'store_unavailable', 'chunk_bad')) throw error;
    onFailure(error.code);
    return false;
  }
}
