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
  /** Waiting for their commit, the oldest first: evicted only while the cachestore does not keep up. */
  readonly #uncommitted = new Map<ChunkPath, ChunkBytes>();
  #newest: Entry | undefined;
  #oldest: Entry | undefined;
  #hand: Entry | undefined;
  #sizeBytes = 0;
  #pinnedBytes = 0;
  #uncommittedBytes = 0;
  #keepsUncommitted: () => boolean = () => false;
  #onEvictable: () => void = () => {};

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Everything but the pinned entries, and those that wait for their commit while it comes soon. */
  get evictableBytes(): number {
    const keptBytes = this.#keepsUncommitted() ? this.#uncommittedBytes : 0;
    return this.#sizeBytes - this.#pinnedBytes - keptBytes;
  }

  get count(): number {
    return this.#entries.size + this.#pinned.size + this.#uncommitted.size;
  }

  /** Called when an entry became evictable; it may be evicted before the call that made it evictable returns. */
  onEvictable(listener: () => void): void {
    this.#onEvictable = listener;
  }

  /** `isTrue`: whether chunks that wait for their commit are kept. To be followed by `reconsider` when it ends. */
  keepUncommittedWhile(isTrue: () => boolean): void {
    this.#keepsUncommitted = isTrue;
  }

  /** Chunks that wait for their commit may have become evictable. */
  reconsider(): void {
    if (this.#uncommitted.size > 0) this.#onEvictable();
  }

  get(path: ChunkPath): ChunkBytes | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return this.#pinned.get(path) ?? this.#uncommitted.get(path);
    entry.visited = true;
    return entry.bytes;
  }

  /** Whether the chunk is in memory; unlike `get`, this does not count as a use. */
  has(path: ChunkPath): boolean {
    return this.#entries.has(path) || this.#pinned.has(path) || this.#uncommitted.has(path);
  }

  /** Takes over `bytes`, which are not evicted until `unpin` makes an ordinary entry of them. */
  pin(path: ChunkPath, bytes: ChunkBytes): void {
    this.delete(path);
    this.#pinned.set(path, bytes);
    this.#sizeBytes += bytes.sizeBytes;
    this.#pinnedBytes += bytes.sizeBytes;
  }

  /** Takes over `bytes`, which wait for their commit: `repin` when it begins, `giveUp` when it is not going to. */
  putUncommitted(path: ChunkPath, bytes: ChunkBytes): void {
    this.delete(path);
    this.#uncommitted.set(path, bytes);
    this.#sizeBytes += bytes.sizeBytes;
    this.#uncommittedBytes += bytes.sizeBytes;
    this.reconsider();
  }

  /** Makes an ordinary entry of `bytes`, if they still wait for their commit. */
  giveUp(path: ChunkPath, bytes: ChunkBytes): void {
    if (this.#takeUncommitted(path, bytes)) this.put(path, bytes);
  }

  /** Pins `bytes` again; false if they are not in memory any more, or others took their place. */
  repin(path: ChunkPath, bytes: ChunkBytes): boolean {
    if (!this.#takeUncommitted(path, bytes)) {
      const entry = this.#entries.get(path);
      if (entry?.bytes !== bytes) return false;
      this.#unlink(entry);
    }
    this.#pinned.set(path, bytes);
    this.#sizeBytes += bytes.sizeBytes;
    this.#pinnedBytes += bytes.sizeBytes;
    return true;
  }

  unpin(path: ChunkPath, isCold?: boolean): void {
    const bytes = this.#unpinned(path);
    if (bytes !== undefined) this.put(path, bytes, isCold);
  }

  /**
   * Takes over `bytes`; an older entry of the same chunk is dropped. `isCold`: it is evicted next, unless it is read until
   * then, so that unread chunks do not replace those that clients read.
   */
  put(path: ChunkPath, bytes: ChunkBytes, isCold = false): void {
    this.delete(path);
    const newer = isCold ? (this.#hand ?? this.#oldest) : undefined;
    const older = isCold ? newer?.older : this.#newest;
    const entry: Entry = { path, bytes, visited: false, newer, older };
    if (newer === undefined) this.#newest = entry;
    else newer.older = entry;
    if (older === undefined) this.#oldest = entry;
    else older.newer = entry;
    if (isCold) this.#hand = entry;
    this.#entries.set(path, entry);
    this.#sizeBytes += bytes.sizeBytes;
    this.#onEvictable();
  }

  /** Removes an evictable entry and returns its bytes, which are the caller's from now on. */
  take(path: ChunkPath): ChunkBytes | undefined {
    const entry = this.#entries.get(path);
    if (entry !== undefined) this.#unlink(entry);
    return entry?.bytes;
  }

  delete(path: ChunkPath): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined) this.#remove(entry);
    this.#unpinned(path)?.drop();
    this.#dropUncommitted(path);
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
    // A stored chunk costs a read of the cachestore; one that was not committed costs the origin's bytes again.
    for (const path of this.#uncommitted.keys()) {
      if (freedBytes >= neededBytes || this.#keepsUncommitted()) break;
      freedBytes += this.#dropUncommitted(path);
    }
    return freedBytes > 0;
  }

  #dropUncommitted(path: ChunkPath): number {
    const bytes = this.#uncommitted.get(path);
    if (bytes === undefined || !this.#takeUncommitted(path, bytes)) return 0;
    bytes.drop();
    return bytes.sizeBytes;
  }

  #takeUncommitted(path: ChunkPath, bytes: ChunkBytes): boolean {
    if (this.#uncommitted.get(path) !== bytes) return false;
    this.#uncommitted.delete(path);
    this.#sizeBytes -= bytes.sizeBytes;
    this.#uncommittedBytes -= bytes.sizeBytes;
    return true;
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
