/**
 * Which chunks are known to be in the cachestore: presence only, bounded, in two generations. A hit in the old one
 * promotes the entry; when the young one is full, the old one is dropped. O(1), without links between entries.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';

export class Catalog {
  readonly #generationSize: number;
  /** false = a tombstone, which hides an entry of the old generation. */
  #young = new Map<ChunkPath, boolean>();
  #old = new Map<ChunkPath, boolean>();

  constructor(maxEntries: number) {
    this.#generationSize = Math.max(1, Math.floor(maxEntries / 2));
  }

  has(path: ChunkPath): boolean {
    const young = this.#young.get(path);
    if (young !== undefined) return young;
    if (this.#old.get(path) !== true) return false;
    this.#put(path, true);
    return true;
  }

  add(path: ChunkPath): void {
    this.#put(path, true);
  }

  forget(path: ChunkPath): void {
    if (this.#old.has(path)) this.#put(path, false);
    else this.#young.delete(path);
  }

  get size(): number {
    let count = 0;
    for (const present of this.#young.values()) if (present) count++;
    for (const [path, present] of this.#old) if (present && !this.#young.has(path)) count++;
    return count;
  }

  #put(path: ChunkPath, present: boolean): void {
    if (!this.#young.has(path) && this.#young.size >= this.#generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(path, present);
  }
}
