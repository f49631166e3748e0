/**
 * The memory tier: chunks that were filled or loaded, kept until something else needs the room. Eviction is SIEVE
 * (Zhang et al., NSDI '24): one visited bit per entry, and a hand that moves from the oldest to the newest. It resists
 * scans of cold objects.
 */
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkBytes } from './chunk-bytes.ts';

interface Entry {
  readonly path: ChunkPath;
  readonly bytes: ChunkBytes;
  visited: boolean;
  newer: Entry | undefined;
  older: Entry | undefined;
}

export class MemoryTier {
  readonly #entries = new Map<ChunkPath, Entry>();
  /** Not committed yet: readable, not evictable. */
  readonly #pinned = new Map<ChunkPath, ChunkBytes>();
  #newest: Entry | undefined;
  #oldest: Entry | undefined;
  #hand: Entry | undefined;
  #sizeBytes = 0;
  #pinnedBytes = 0;
  #onEvictable: () => void = () => {};

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Everything but the pinned entries. */
  get evictableBytes(): number {
    return this.#sizeBytes - this.#pinnedBytes;
  }

  get count(): number {
    return this.#entries.size + this.#pinned.size;
  }

  /** Called when an evictable entry was added; it may be evicted before `put` returns. */
  onEvictable(listener: () => void): void {
    this.#onEvictable = listener;
  }

  get(path: ChunkPath): ChunkBytes | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return this.#pinned.get(path);
    entry.visited = true;
    return entry.bytes;
  }

  /** Takes over `bytes`, which are not evicted until `unpin` makes an ordinary entry of them. */
  pin(path: ChunkPath, bytes: ChunkBytes): void {
    this.delete(path);
    this.#pinned.set(path, bytes);
    this.#sizeBytes += bytes.sizeBytes;
    this.#pinnedBytes += bytes.sizeBytes;
  }

  /** Pins `bytes` again; false if they are not in memory any more, or others took their place. */
  repin(path: ChunkPath, bytes: ChunkBytes): boolean {
    const entry = this.#entries.get(path);
    if (entry?.bytes !== bytes) return false;
    this.#unlink(entry);
    this.#pinned.set(path, bytes);
    this.#sizeBytes += bytes.sizeBytes;
    this.#pinnedBytes += bytes.sizeBytes;
    return true;
  }

  unpin(path: ChunkPath): void {
    const bytes = this.#unpinned(path);
    if (bytes !== undefined) this.put(path, bytes);
  }

  /** Takes over `bytes`; an older entry of the same chunk is dropped. */
  put(path: ChunkPath, bytes: ChunkBytes): void {
    this.delete(path);
    const entry: Entry = { path, bytes, visited: false, newer: undefined, older: this.#newest };
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
    this.#entries.set(path, entry);
    this.#sizeBytes += bytes.sizeBytes;
    this.#onEvictable();
  }

  delete(path: ChunkPath): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined) this.#remove(entry);
    this.#unpinned(path)?.drop();
  }

  /** Evicts entries of at least `neededBytes` in total, or all; false when nothing was evictable. */
  evict(neededBytes: number): boolean {
    let freedBytes = 0;
    while (freedBytes < neededBytes) {
      const victim = this.#nextVictim();
      if (victim === undefined) break;
      freedBytes += victim.bytes.sizeBytes;
      this.#remove(victim);
    }
    return freedBytes > 0;
  }

  #unpinned(path: ChunkPath): ChunkBytes | undefined {
    const bytes = this.#pinned.get(path);
    if (bytes === undefined) return undefined;
    this.#pinned.delete(path);
    this.#sizeBytes -= bytes.sizeBytes;
    this.#pinnedBytes -= bytes.sizeBytes;
    return bytes;
  }

  #nextVictim(): Entry | undefined {
    let entry = this.#hand ?? this.#oldest;
    while (entry?.visited === true) {
      entry.visited = false;
      entry = entry.newer ?? this.#oldest;
    }
    this.#hand = entry;
    return entry;
  }

  #remove(entry: Entry): void {
    this.#unlink(entry);
    entry.bytes.drop();
  }

  #unlink(entry: Entry): void {
    if (this.#hand === entry) this.#hand = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    this.#entries.delete(entry.path);
    this.#sizeBytes -= entry.bytes.sizeBytes;
  }
}
