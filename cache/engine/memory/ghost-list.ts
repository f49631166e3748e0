/**
 * Chunks that were read lately, by name only: one that is read a second time is worth keeping in memory. Two
 * generations, as in the catalog: when the young one is full, the old one goes.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';

/** Of each generation: 2 MB of names; who comes back after more chunks than memory ever holds is not hot. */
const GENERATION_SIZE = 8_192;

export class GhostList {
  #young = new Set<ChunkPath>();
  #old = new Set<ChunkPath>();

  /** Whether it was read lately; from now on it was. */
  touch(path: ChunkPath): boolean {
    const isAgain = this.#young.has(path) || this.#old.has(path);
    if (this.#young.size >= GENERATION_SIZE && !this.#young.has(path)) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(path);
    return isAgain;
  }
}
