/** Whether the cachestore has a chunk, for callers that cannot continue without an answer. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';

/** No client waits; a store that takes longer has enough to do. */
const TIMEOUT_MS = 5_000;

/** `corrupt`: there is another object at its place, or one of another length. Rejects with store_unavailable. */
export async function lookInStore(
  { store }: { readonly store: ChunkStore },
  chunk: Chunk,
  signal: AbortSignal,
): Promise<'stored' | 'absent' | 'corrupt'> {
  try {
    return (await store.has(chunk, { signal, firstByteTimeoutMs: TIMEOUT_MS })) ? 'stored' : 'absent';
  } catch (error) {
    if (!hasCode(error, 'chunk_bad')) throw error;
    return 'corrupt';
  }
}
