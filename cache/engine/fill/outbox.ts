/**
 * The outbox: commits to the cachestore, and those that wait for it to recover. A chunk is committed at the end of its
 * fill. After a transient failure it stays readable in memory and is retried.
 *
 * Commits in flight and those that failed keep their bytes in memory, up to a quarter of it. Beyond that the oldest that
 * failed is dropped. If all are in flight, a chunk is postponed: it stays in memory, and is committed when a commit ends.
 * While commits make progress, fills wait for that memory; otherwise it is evicted when something else needs the room. A cache
 * that cannot commit is slower, never wrong, and never blocked.
 */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { chunkFields, type Chunk, type ChunkPath } from '#cache/core/chunk.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#shared/abortable.ts';
import { Alarm } from '#shared/alarm.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { Clock, Observer } from '#cache/engine/ports.ts';
import type { Rank } from '#cache/engine/upstream/rank.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { isStoreFull, type GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { backoffMs } from '#shared/backoff.ts';
import { Outcomes } from './outcomes.ts';

/** The maximum share of the memory budget for commits: it is not available to fills and readers. */
const SHARE = 1 / 4;
/** More small chunks than this have left memory before their turn. */
const MAX_POSTPONED = 1_000;
/** 128 MiB at 5 MB/s: a slower store counts as down. */
const COMMIT_TIMEOUT_MS = 30_000;
/**
 * A store that completes no commit for this long does not keep up: 128 MiB at 32 MiB/s. Less than a new request waits
 * for memory.
 */
const PROGRESS_LIMIT_MS = 4_000;
/** Between two attempts of the whole outbox. A recovered store is noticed sooner, by its circuit breaker. */
const BACKOFF_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** A full disk has to be cleaned up first: earlier attempts would only fail again. */
const FULL_PAUSE_MS = 30_000;

export interface Commit {
  readonly chunk: Chunk;
  readonly metadata: ChunkMetadata;
  readonly bytes: ChunkBytes;
  /** The cachestore's copy is corrupt: overwrite it. */
  readonly overwrite: boolean;
  /** Postponed commits in the background come last. */
  readonly rank?: Rank;
  /** All readers had left before it was complete. */
  readonly isAbandoned?: boolean;
  /** No client has read it: once committed, it is the first to be evicted from memory. */
  readonly isCold?: () => boolean;
}

export interface OutboxOptions {
  readonly store: GuardedStore;
  readonly catalog: Catalog;
  readonly memoryTier: MemoryTier;
  readonly budgetBytes: number;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  /** False until the origin's identity is verified: until then nothing is committed under its id. */
  readonly mayCommit: () => boolean;
  /** This replica has committed a chunk that was not stored before. */
  readonly onCommitted?: (chunk: Chunk) => void;
  /** The store has refused a chunk for lack of room. */
  readonly onFull?: () => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  /** In flight, or failed: not evictable. */
  readonly #pinned = new Set<Commit>();
  /** Those that failed, or could not be tried; the oldest first. */
  readonly #waiting: Commit[] = [];
  /** Evictable, not tried so far. */
  readonly #postponed: Commit[] = [];
  /** Uploads in flight: the retry loop and the final flush share them, and their bytes stay in memory meanwhile. */
  readonly #trying = new Map<Commit, Promise<boolean>>();
  readonly #outcomes = new Outcomes<Commit>();
  /** When a commit last ended, or the first of those in flight began. */
  #progressMs = 0;
  #cancelProgressTimer = (): void => {};
  #failures = 0;
  #isFull = false;
  #nextTryMs = 0;
  readonly #alarm: Alarm;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
    options.store.breaker.onClose(() => this.wake());
    options.memoryTier.keepUncommittedWhile(() => this.#isKeepingUp);
  }

  /** The store reported the last commit as failed because it is full. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The store has recovered, or commits may begin: waiting commits are tried at once. */
  wake(): void {
    this.#nextTryMs = 0;
    this.#alarm.ring();
  }

  /** All commits that are not done. */
  get count(): number {
    return this.#pinned.size + this.#postponed.length;
  }

  /** All commits that were begun have succeeded or are in flight, and none waits for its turn. */
  get keepsUp(): boolean {
    return this.#postponed.length === 0 && this.#waiting.length === 0 && this.#options.mayCommit();
  }

  /** Whether the chunk's pending commit succeeds in the end; undefined without one. */
  settled(path: ChunkPath): Promise<boolean> | undefined {
    const item = [...this.#pinned, ...this.#postponed].find(({ chunk }) => chunk.path === path);
    return item && this.#outcomes.of(item);
  }

  /** The memory that they keep from others. */
  get sizeBytes(): number {
    return [...this.#pinned].reduce((sum, { bytes }) => sum + bytes.sizeBytes, 0);
  }

  /**
   * The first attempt, or none if there is no room for it now. Takes over the bytes, which stay readable while they
   * wait. Never rejects.
   */
  async commit(item: Commit): Promise<void> {
    if (this.#makeRoom(item)) {
      this.#options.memoryTier.pin(item.chunk.path, item.bytes);
      await this.#begin(item);
      return;
    }
    this.#postponed.push(item);
    // No caller waits for an abandoned fill: other fills take its memory at once.
    if (item.isAbandoned === true) this.#options.memoryTier.put(item.chunk.path, item.bytes);
    else this.#options.memoryTier.putUncommitted(item.chunk.path, item.bytes);
    this.#watchProgress();
    if (this.#postponed.length > MAX_POSTPONED) this.#takePostponed(0);
  }

  /** Retries waiting commits until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const oldest = this.#waiting[0];
      // An empty outbox sleeps until it is woken; the bound is only a precaution.
      const idle = oldest === undefined || !this.#options.mayCommit();
      const waitMs = idle ? BACKOFF_MAX_MS : this.#nextTryMs - this.#options.clock.now();
      if (waitMs > 0) await this.#alarm.sleep(waitMs, signal);
      else if (oldest !== undefined && (await this.#try(oldest))) this.#remove(oldest);
    }
  }

  /** At shutdown: one more attempt for each commit, until the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    while (this.count > 0 && !signal.aborted && this.#options.mayCommit()) {
      const [tried] = this.#waiting;
      // Each commit that ends begins postponed ones. None is in flight between an attempt and its place in the queue.
      if (tried === undefined) await (this.#trying.size > 0 ? Promise.race(this.#trying.values()) : undefined);
      else if (await this.#try(tried)) this.#remove(tried);
      else this.#drop(tried);
    }
    while (this.#postponed.length > 0) this.#takePostponed(0);
    this.#cancelProgressTimer();
    for (const item of this.#waiting.filter((item) => !this.#trying.has(item))) this.#drop(item);
  }

  /** Its bytes are pinned. */
  async #begin(item: Commit): Promise<void> {
    this.#pinned.add(item);
    const { store, clock } = this.#options;
    const mayTry =
      this.#options.mayCommit() && store.breaker.state === 'closed' && !(this.#isFull && clock.now() < this.#nextTryMs);
    if (mayTry && (await this.#try(item))) return;
    this.#waiting.push(item);
    this.#watchProgress();
    this.#alarm.ring();
  }

  /** True when the item is done: committed, or permanently refused. */
  #try(item: Commit): Promise<boolean> {
    const running = this.#trying.get(item);
    if (running !== undefined) return running;
    if (this.#trying.size === 0) this.#progressed();
    const attempt = this.#upload(item).finally(() => {
      this.#trying.delete(item);
      this.#progressed();
    });
    this.#trying.set(item, attempt);
    return attempt;
  }

  async #upload(item: Commit): Promise<boolean> {
    const { store, catalog, clock, observer, onCommitted } = this.#options;
    const { chunk, metadata, bytes, overwrite } = item;
    const startedMs = clock.now();
    const late = () => new OrcaError('store_unavailable', `no commit within ${COMMIT_TIMEOUT_MS} ms`);
    try {
      const outcome = await withDeadline(clock, COMMIT_TIMEOUT_MS, late, undefined, (signal) =>
        store.commit(chunk, metadata, bytes.pieces(), { signal, overwrite }),
      );
      observer.storeRequest('commit', outcome, clock.now() - startedMs);
      observer.fill(outcome === 'won' ? 'committed' : 'lost');
      if (outcome === 'won') observer.committedBytes(chunk.lengthBytes);
      if (outcome === 'won' && !overwrite) onCommitted?.(chunk);
      catalog.add(chunk.path);
      this.#outcomes.settle(item, true);
      this.#succeeded();
    } catch (error) {
      const failure = asOrcaError(error, 'store_unavailable', 'the commit failed');
      observer.storeRequest('commit', failure.code, clock.now() - startedMs);
      observer.warn('commit failed', { chunk: chunkFields(chunk), error: failure });
      if (!isPermanent(failure)) {
        this.#failed(isStoreFull(failure));
        return false;
      }
      this.#succeeded();
      this.#outcomes.settle(item, false);
      observer.fill('uncommitted');
    }
    this.#unpin(item);
    return true;
  }

  /** Postponed commits have their turn soon. */
  get #isKeepingUp(): boolean {
    const { clock } = this.#options;
    if (this.#trying.size === 0 || this.#waiting.length > 0) return false;
    return clock.now() - this.#progressMs < PROGRESS_LIMIT_MS;
  }

  #progressed(): void {
    this.#progressMs = this.#options.clock.now();
    this.#watchProgress();
  }

  /** Postponed chunks become evictable when the commits in flight make no more progress. */
  #watchProgress(): void {
    const { clock, memoryTier } = this.#options;
    this.#cancelProgressTimer();
    if (this.#postponed.length === 0) return;
    const restMs = PROGRESS_LIMIT_MS - (clock.now() - this.#progressMs);
    if (this.#isKeepingUp) this.#cancelProgressTimer = clock.after(restMs, () => memoryTier.reconsider());
    else memoryTier.reconsider();
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#isFull = false;
    this.#nextTryMs = 0;
  }

  #failed(isFull: boolean): void {
    const { clock, random, onFull } = this.#options;
    const pauseMs = isFull ? FULL_PAUSE_MS : backoffMs(this.#failures, BACKOFF_MS, BACKOFF_MAX_MS, 0.5 + random() / 2);
    this.#failures++;
    this.#isFull = isFull;
    this.#nextTryMs = clock.now() + pauseMs;
    if (isFull) onFull?.();
  }

  /** A single commit fits, whatever its size. */
  #fits({ bytes }: Commit): boolean {
    return this.#pinned.size === 0 || this.sizeBytes + bytes.sizeBytes <= this.#options.budgetBytes * SHARE;
  }

  #makeRoom(item: Commit): boolean {
    while (!this.#fits(item)) {
      const oldest = this.#waiting.find((waiting) => !this.#trying.has(waiting));
      if (oldest === undefined) return false;
      this.#drop(oldest);
    }
    return true;
  }

  #drop(item: Commit): void {
    this.#remove(item);
    this.#outcomes.settle(item, false);
    this.#options.observer.fill('uncommitted');
    this.#unpin(item);
  }

  #unpin(item: Commit): void {
    this.#pinned.delete(item);
    this.#options.memoryTier.unpin(item.chunk.path, item.isCold?.());
    this.#beginPostponed();
  }

  /** As many as fit, in order. */
  #beginPostponed(): void {
    const { memoryTier } = this.#options;
    while (this.#postponed.length > 0) {
      const urgent = this.#postponed.findIndex(({ bytes, rank }) => bytes.isDropped || rank?.isBackground !== true);
      const at = Math.max(urgent, 0);
      const item = this.#postponed[at];
      if (item === undefined || (!item.bytes.isDropped && !this.#fits(item))) return;
      if (!memoryTier.repin(item.chunk.path, item.bytes)) {
        this.#takePostponed(at);
        continue;
      }
      this.#postponed.splice(at, 1);
      void this.#begin(item);
    }
  }

  /** The chunk stays uncommitted. */
  #takePostponed(at: number): void {
    for (const item of this.#postponed.splice(at, 1)) {
      this.#options.memoryTier.giveUp(item.chunk.path, item.bytes);
      this.#outcomes.settle(item, false);
      this.#options.observer.fill('uncommitted');
    }
  }

  #remove(item: Commit): void {
    const at = this.#waiting.indexOf(item);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/** A permanent refusal. 401 and 403 may end with a rotated key, but this chunk does not wait for that. */
function isPermanent(error: OrcaError): boolean {
  const { status } = error;
  return status !== undefined && status >= 400 && status < 500 && ![408, 409, 412, 429].includes(status);
}
