/**
 * Commits that wait for the cachestore to come back. A chunk is committed once at the end of its fill; what failed in
 * passing is kept readable in memory and tried again, the oldest dropped when the share is full: a cache that can't
 * commit is slower, never wrong and never stuck.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { backoffMs } from '#cache/core/backoff.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { withDeadline } from '#cache/engine/abortable.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { isStoreFull, type GuardedStore } from '#cache/engine/upstream/guarded.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { Clock, Observer } from '#cache/engine/ports.ts';

/** Of the budget: what waits here is not there for fills. */
const SHARE = 1 / 4;
/** 128 MiB at 5 MB/s: slower is as good as down. */
const COMMIT_TIMEOUT_MS = 30_000;
const BACKOFF_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** A full disk does not empty itself in less. */
const FULL_PAUSE_MS = 30_000;

export interface Commit {
  readonly chunk: Chunk;
  readonly metadata: ChunkMetadata;
  readonly bytes: ChunkBytes;
  /** What the cachestore has is bad: overwrite it. */
  readonly overwrite: boolean;
}

export interface OutboxOptions {
  readonly store: GuardedStore;
  readonly catalog: Catalog;
  readonly memoryTier: MemoryTier;
  readonly budgetBytes: number;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly random: () => number;
  /** False until the origin's identity is known to be ours: until then nothing is committed under its id. */
  readonly mayCommit: () => boolean;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #waiting: Commit[] = [];
  /** Under way: the loop and the flush at the end share one upload, and nothing of it leaves memory meanwhile. */
  readonly #trying = new Map<Commit, Promise<boolean>>();
  #failures = 0;
  #isFull = false;
  #nextTryMs = 0;
  #wake = new AbortController();

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.store.breaker.onClose(() => this.wake());
  }

  /** The store's last answer to a commit was that it has no room. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The store has come back, or commits may begin: what waits is tried at once. */
  wake(): void {
    this.#nextTryMs = 0;
    this.#wake.abort(new OrcaError('cancelled', 'the cachestore is back'));
  }

  get count(): number {
    return this.#waiting.length;
  }

  get sizeBytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes.sizeBytes, 0);
  }

  /** The first try. Takes the bytes over, whatever comes of it; they stay readable while they wait. Never rejects. */
  async commit(item: Commit): Promise<void> {
    this.#options.memoryTier.pin(item.chunk.path, item.bytes);
    const { store, clock } = this.#options;
    const mayTry =
      this.#options.mayCommit() && store.breaker.state === 'closed' && !(this.#isFull && clock.now() < this.#nextTryMs);
    if (mayTry && (await this.#try(item))) return;
    this.#waiting.push(item);
    this.#trim();
    this.#wake.abort(new OrcaError('cancelled', 'something waits'));
  }

  /** Tries what waits again and again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const oldest = this.#waiting[0];
      // An empty outbox sleeps until it is woken; the bound is only there to have one.
      const idle = oldest === undefined || !this.#options.mayCommit();
      const waitMs = idle ? BACKOFF_MAX_MS : this.#nextTryMs - this.#options.clock.now();
      if (waitMs > 0) await this.#sleep(waitMs, signal);
      else if (oldest !== undefined && (await this.#try(oldest))) this.#remove(oldest);
    }
  }

  /** At the end of the process: each once more, until the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    while (this.#waiting[0] !== undefined && !signal.aborted && this.#options.mayCommit()) {
      const tried = this.#waiting[0];
      if (await this.#try(tried)) this.#remove(tried);
      else this.#drop(tried);
    }
    for (const item of this.#waiting.filter((item) => !this.#trying.has(item))) this.#drop(item);
  }

  /** True when nothing more is to be done for the item. */
  #try(item: Commit): Promise<boolean> {
    const running = this.#trying.get(item);
    if (running !== undefined) return running;
    const attempt = this.#upload(item).finally(() => this.#trying.delete(item));
    this.#trying.set(item, attempt);
    return attempt;
  }

  async #upload(item: Commit): Promise<boolean> {
    const { store, catalog, clock, observer } = this.#options;
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
      catalog.add(chunk.path);
      this.#settled();
    } catch (error) {
      const failure = asOrcaError(error, 'store_unavailable', 'the commit failed');
      observer.storeRequest('commit', failure.code, clock.now() - startedMs);
      observer.warn('commit failed', { chunk: chunk.path, error: failure });
      if (!isPermanent(failure)) {
        this.#failed(isStoreFull(failure));
        return false;
      }
      this.#settled();
      observer.fill('uncommitted');
    }
    this.#options.memoryTier.unpin(chunk.path);
    return true;
  }

  #settled(): void {
    this.#failures = 0;
    this.#isFull = false;
    this.#nextTryMs = 0;
  }

  #failed(isFull: boolean): void {
    const { clock, random } = this.#options;
    const pauseMs = isFull ? FULL_PAUSE_MS : backoffMs(this.#failures, BACKOFF_MS, BACKOFF_MAX_MS, 0.5 + random() / 2);
    this.#failures++;
    this.#isFull = isFull;
    this.#nextTryMs = clock.now() + pauseMs;
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController();
    const either = AbortSignal.any([signal, this.#wake.signal]);
    try {
      await this.#options.clock.sleep(ms, either);
    } catch (error) {
      if (!either.aborted) throw error;
    }
  }

  #trim(): void {
    const limitBytes = this.#options.budgetBytes * SHARE;
    while (this.sizeBytes > limitBytes) {
      const oldest = this.#waiting.find((item) => !this.#trying.has(item));
      if (oldest === undefined) return;
      this.#drop(oldest);
    }
  }

  #drop(item: Commit): void {
    this.#remove(item);
    this.#options.observer.fill('uncommitted');
    this.#options.memoryTier.unpin(item.chunk.path);
  }

  #remove(item: Commit): void {
    const at = this.#waiting.indexOf(item);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/** A no that will be the same the next time; 401 and 403 may be a key that is rotated, but not for this chunk's sake. */
function isPermanent(error: OrcaError): boolean {
  const { status } = error;
  return status !== undefined && status >= 400 && status < 500 && ![408, 409, 412, 429].includes(status);
}
