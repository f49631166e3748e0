/** Whether the cachestore has a chunk by now, asked once for all who want to know, and not again for a moment. */
import type { Chunk } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { BoundedTable } from '#cache/core/lru-table.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';

/** A commit takes about as long; a crowd that was left behind asks as often, and not each of it. */
const ASK_AGAIN_MS = 250;
/** The store is near: longer than this it is not worth waiting for its word. */
const HAS_TIMEOUT_MS = 2_000;
/** Chunks in which somebody was left behind within that moment. */
const MAX_REMEMBERED = 1_000;

export interface CommitWatch {
  isStored(chunk: Chunk, signal: AbortSignal): Promise<boolean>;
}

export interface CommitWatchOptions {
  readonly store: ChunkStore;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly observer: Observer;
}

export function openCommitWatch({ store, catalog, clock, observer }: CommitWatchOptions): CommitWatch {
  const asked = new BoundedTable<{ readonly atMs: number; readonly answer: Promise<boolean> }>({
    maxEntries: MAX_REMEMBERED,
  });

  /** One HEAD. It belongs to nobody who waits for it, and has an end of its own. */
  async function ask(chunk: Chunk): Promise<boolean> {
    const { signal } = new AbortController();
    try {
      if (!(await store.has(chunk, { signal, firstByteTimeoutMs: HAS_TIMEOUT_MS }))) return false;
    } catch (error) {
      if (!hasCode(error, 'store_unavailable', 'chunk_bad')) throw error;
      observer.fallThrough('store', error.code);
      return false;
    }
    catalog.add(chunk.path);
    return true;
  }

  return {
    async isStored(chunk, signal) {
      if (catalog.has(chunk.path)) return true;
      const nowMs = clock.now();
      let known = asked.get(chunk.path);
      if (known === undefined || nowMs - known.atMs >= ASK_AGAIN_MS) {
        known = { atMs: nowMs, answer: ask(chunk) };
        known.answer.catch(() => {});
        asked.set(chunk.path, known);
      }
      return abortable(known.answer, signal);
    },
  };
}
