/**
 * A ghost list for admission: the names of chunks that were read lately. A chunk that is read a second time is admitted
 * to memory. The list has two generations, like the catalog: when the young one is full, the old one is dropped.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';

/** Names in each generation, 2 MB: a chunk that returns after more chunks than memory ever holds is not hot. */
const GENERATION_SIZE = 8_192;

export class GhostList {
  #young = new Set<ChunkPath>();
  #old = new Set<ChunkPath>();

  has(path: ChunkPath): boolean {
    return this.#young.has(path) || this.#old.has(path);
  }

  /** Records a read; returns whether the chunk was read lately. */
  touch(path: ChunkPath): boolean {
    const wasReadLately = this.has(path);
    if (this.#young.size >= GENERATION_SIZE && !this.#young.has(path)) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(path);
    return wasReadLately;
  }
}
