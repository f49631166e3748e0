/**
 * Cachestore look-ups of chunks that no catalog lists, by chunk: concurrent readers and the fill of a cold chunk wait for
 * the answer to the first one, instead of having a 404 each.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';

/** `failed`: the cachestore gave no good answer. `cancelled`: the reader left before there was one. */
export type Lookup = 'stored' | 'missing' | 'failed' | 'cancelled';

export class StoreLookups {
  readonly #inFlight = new Map<ChunkPath, Promise<Lookup>>();

  get count(): number {
    return this.#inFlight.size;
  }

  find(path: ChunkPath): Promise<Lookup> | undefined {
    return this.#inFlight.get(path);
  }

  /** The caller looks the chunk up now, and settles this in any case; only the first call counts. */
  begin(path: ChunkPath): (found: Lookup) => void {
    const { promise, resolve } = Promise.withResolvers<Lookup>();
    this.#inFlight.set(path, promise);
    return (found) => {
      if (this.#inFlight.get(path) === promise) this.#inFlight.delete(path);
      resolve(found);
    };
  }
}
