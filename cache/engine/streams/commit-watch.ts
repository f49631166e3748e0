/** Singleflight for "is the chunk committed by now?": one HEAD for all readers, at most every 250 ms. */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { hasCode } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { abortable } from '#cache/engine/abortable.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { Singleflight } from '#shared/singleflight.ts';

/** A commit takes about this long. */
const ASK_AGAIN_MS = 250;
/** The cachestore is near: a slower answer is not worth waiting for. */
const HAS_TIMEOUT_MS = 2_000;
/** Chunks that readers asked about within ASK_AGAIN_MS. */
const MAX_REMEMBERED = 1_000;

export interface CommitWatchOptions {
  readonly store: ChunkStore;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly observer: Observer;
}

export class CommitWatch {
  readonly #options: CommitWatchOptions;
  readonly #flights = new Singleflight<ChunkPath, boolean>();
  /** When the cachestore last reported a chunk as missing. */
  readonly #missedMs = new LruTable<number>({ maxEntries: MAX_REMEMBERED });

  constructor(options: CommitWatchOptions) {
    this.#options = options;
  }

  async isStored(chunk: Chunk, signal: AbortSignal): Promise<boolean> {
    const { catalog, clock } = this.#options;
    if (catalog.has(chunk.path)) return true;
    const missedMs = this.#missedMs.get(chunk.path);
    if (missedMs !== undefined && clock.now() - missedMs < ASK_AGAIN_MS) return false;
    return abortable(
      this.#flights.do(chunk.path, () => this.#ask(chunk)),
      signal,
    );
  }

  /** One HEAD, with a deadline of its own: it belongs to no reader. */
  async #ask(chunk: Chunk): Promise<boolean> {
    const { store, catalog, clock, observer } = this.#options;
    const askedMs = clock.now();
    const { signal } = new AbortController();
    try {
      if (await store.has(chunk, { signal, firstByteTimeoutMs: HAS_TIMEOUT_MS })) {
        catalog.add(chunk.path);
        return true;
      }
    } catch (error) {
      if (!hasCode(error, 'store_unavailable', 'chunk_bad')) throw error;
      observer.fallThrough('store', error.code);
    }
    this.#missedMs.set(chunk.path, askedMs);
    return false;
  }
}
