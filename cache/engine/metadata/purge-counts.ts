/**
 * How often each key was purged. The heads of versions are kept under names that contain it, so that a purge of a key
 * makes those of all its versions unreachable at once, also the ones that are being looked up.
 */

/** Purges are rare. When an older one is forgotten, the heads of all versions are: they cost a HEAD each. */
const MAX_KEYS = 1_000;

export class PurgeCounts {
  readonly #byKey = new Map<string, number>();
  #purges = 0;
  /** The last purge that was forgotten. */
  #floor = 0;

  of(key: string): number {
    return this.#byKey.get(key) ?? this.#floor;
  }

  add(key: string): void {
    this.#byKey.delete(key);
    this.#byKey.set(key, ++this.#purges);
    for (const [oldest, purge] of this.#byKey) {
      if (this.#byKey.size <= MAX_KEYS) return;
      this.#byKey.delete(oldest);
      this.#floor = purge;
    }
  }
}
