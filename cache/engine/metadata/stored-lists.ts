/**
 * Pages of lists in the cachestore, so that lists that were requested lately are still served when every replica
 * restarts while the origin is down. They are written in the background, in a fixed number of places: a page's name
 * selects its place, and pages that share one replace each other. So a client that walks a bucket of a billion keys
 * fills neither the cachestore nor the time of this replica.
 */
import { hash } from 'node:crypto';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { pageBytes, type ListPage } from '#cache/core/s3/listing.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';
import { decodeStoredList, encodeStoredList, type StoredList } from './list-page-codec.ts';
import { toDateMs, toEngineMs } from './stored-dates.ts';

/** With pages of at most 128 KiB: 2 GiB. A typical page takes 40 KiB. */
const PLACES = 16_384;
/** A page of 1000 keys takes 40 KiB; with keys of 1 KiB it may take more than this. */
const MAX_STORED_BYTES = 128 * 1024;
/** An unchanged page is rewritten rarely, since it is read only while the origin is down. */
const REWRITE_MS = 60 * 60_000;
/** A page that changes all the time. */
const REWRITE_CHANGED_MS = 60_000;
/** After a burst, one write a second: 86 400 a day, for less than half a dollar on S3. */
const BURST_WRITES = 64;
const PER_WRITE_MS = 1_000;
/** Pages waiting to be written. Beyond that the oldest is dropped, which matters only in an outage. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** An entry of a Map with its small object. */
const ENTRY_BYTES = 200;
/** Pages whose last write is remembered. */
const MAX_WRITTEN = 10_000;
/** A page that was requested several times is not replaced by one that was requested once, for this long. */
const PRECEDENCE_MS = 24 * 60 * 60_000;
/** A read delays a client whose origin is down: a slower cachestore counts as down too. */
const TIMEOUT_MS = 5_000;

/** Marks the name of a tombstone of a whole bucket, which has a place of its own; names of pages are JSON. */
const BUCKET_PREFIX = 'bucket ';

/** A page as the origin sent it, or when it refused to. */
export interface LearnedPage {
  readonly page: ListPage | undefined;
  readonly learnedMs: number;
}

export interface StoredListsOptions {
  readonly store: ChunkStore;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly originId: string;
}

interface Waiting extends LearnedPage {
  readonly isRepeated: boolean;
}

export class StoredLists {
  readonly #options: StoredListsOptions;
  readonly #waiting = new Map<string, Waiting>();
  #waitingBytes = 0;
  readonly #written = new LruTable<{ readonly content: string; readonly atMs: number }>({ maxEntries: MAX_WRITTEN });
  #isWriting = false;
  #isClosed = false;
  /** Writes that may happen at once, as of `#refilledMs`. */
  #credit = BURST_WRITES;
  #refilledMs: number;

  constructor(options: StoredListsOptions) {
    this.#options = options;
    this.#refilledMs = options.clock.now();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Nothing is written from now on. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
    this.#waitingBytes = 0;
  }

  /** What is stored of the page; undefined if that is nothing, or cannot be read. */
  async read(name: string): Promise<LearnedPage | undefined> {
    try {
      const stored = await this.#bounded((signal) => this.#find(name, signal));
      if (stored?.name !== name) return undefined;
      return { page: stored.page, learnedMs: toEngineMs(this.#options.clock, stored.learnedMs) };
    } catch (error) {
      const { code } = asOrcaError(error, 'internal', 'a page of a list cannot be read');
      if (code !== 'store_unavailable' && code !== 'cancelled') throw error;
      return undefined;
    }
  }

  /** Writes the page in the background, unless it was written lately. `isRepeated`: it was requested before. */
  record(name: string, page: ListPage, learnedMs: number, isRepeated: boolean): void {
    const last = this.#written.get(name);
    if (last !== undefined && learnedMs - last.atMs < REWRITE_CHANGED_MS) return;
    this.#enqueue(name, { page, learnedMs, isRepeated });
  }

  /** The origin refuses the page: what is stored of it must not be served any more. */
  refuse(name: string, learnedMs: number): void {
    this.#enqueue(name, { page: undefined, learnedMs, isRepeated: true });
  }

  /** The same for all pages of a bucket. */
  refuseBucket(bucket: string, learnedMs: number): void {
    this.refuse(BUCKET_PREFIX + bucket, learnedMs);
  }

  /** When all lists of the bucket were last refused, as far as is stored. */
  async bucketRefusedMs(bucket: string): Promise<number | undefined> {
    return (await this.read(BUCKET_PREFIX + bucket))?.learnedMs;
  }

  #enqueue(name: string, entry: Waiting): void {
    if (this.#isClosed) return;
    this.#drop(name);
    this.#waiting.set(name, entry);
    this.#waitingBytes += weigh(name, entry);
    for (const oldest of this.#waiting.keys()) {
      if (this.#waitingBytes <= MAX_WAITING_BYTES) break;
      this.#drop(oldest);
      this.#options.observer.listWrite('dropped');
    }
    if (!this.#isWriting) void this.#write();
  }

  #drop(name: string): Waiting | undefined {
    const entry = this.#waiting.get(name);
    if (entry === undefined) return undefined;
    this.#waiting.delete(name);
    this.#waitingBytes -= weigh(name, entry);
    return entry;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (;;) {
        const [name] = this.#waiting.keys();
        if (name === undefined) return;
        const waitMs = this.#waitMs();
        if (waitMs > 0) {
          await this.#options.clock.sleep(waitMs);
          continue;
        }
        const entry = this.#drop(name);
        if (entry !== undefined) await this.#writeOne(name, entry);
      }
    } finally {
      this.#isWriting = false;
    }
  }

  /** How long until the next write is allowed. */
  #waitMs(): number {
    const nowMs = this.#options.clock.now();
    this.#credit = Math.min(BURST_WRITES, this.#credit + (nowMs - this.#refilledMs) / PER_WRITE_MS);
    this.#refilledMs = nowMs;
    return this.#credit >= 1 ? 0 : Math.ceil((1 - this.#credit) * PER_WRITE_MS);
  }

  async #writeOne(name: string, { page, learnedMs, isRepeated }: Waiting): Promise<void> {
    const { store, observer, clock } = this.#options;
    const content = page === undefined ? '' : hash('sha256', JSON.stringify(page), 'base64');
    const last = this.#written.get(name);
    if (page !== undefined && last?.content === content && learnedMs - last.atMs < REWRITE_MS) return;
    const entry: StoredList = { name, page, isRepeated, learnedMs: toDateMs(this.#options.clock, learnedMs) };
    const bytes = encodeStoredList(entry);
    this.#written.set(name, { content, atMs: learnedMs });
    if (bytes.length > MAX_STORED_BYTES) {
      observer.listWrite('too_large');
      return;
    }
    this.#credit--;
    try {
      const isWritten = await this.#bounded(async (signal) => {
        const before = await this.#find(name, signal);
        if (before !== undefined && !mayReplace(before, entry, clock.date())) return false;
        // A tombstone of a page is only for one that is stored.
        if (page === undefined && before?.name !== name && !name.startsWith(BUCKET_PREFIX)) return false;
        await store.putSmall(this.#placeOf(name), bytes, { signal });
        return true;
      });
      observer.listWrite(isWritten ? 'written' : 'kept_other');
    } catch (error) {
      this.#written.delete(name);
      observer.listWrite('failed');
      observer.warn('page of a list not written', { place: this.#placeOf(name), error });
    }
  }

  async #find(name: string, signal: AbortSignal): Promise<StoredList | undefined> {
    const bytes = await this.#options.store.getSmall(this.#placeOf(name), { signal });
    return bytes === undefined || bytes.length > MAX_STORED_BYTES ? undefined : decodeStoredList(bytes);
  }

  #placeOf(name: string): string {
    const digits = hash('sha256', name, 'hex');
    const place = (Number.parseInt(digits.slice(0, 8), 16) % PLACES).toString(16).padStart(4, '0');
    const file = name.startsWith(BUCKET_PREFIX) ? `bucket-${digits}` : place;
    return `_orca/lists/${this.#options.originId}/${file}`;
  }

  #bounded<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new OrcaError('store_unavailable', `no page of a list within ${TIMEOUT_MS} ms`);
    return withDeadline(this.#options.clock, TIMEOUT_MS, late, undefined, call);
  }
}

function mayReplace(before: StoredList, next: StoredList, nowMs: number): boolean {
  if (before.name === next.name) return before.learnedMs < next.learnedMs;
  return next.isRepeated || !before.isRepeated || nowMs - before.learnedMs > PRECEDENCE_MS;
}

function weigh(name: string, { page }: Waiting): number {
  return 2 * name.length + ENTRY_BYTES + (page === undefined ? 0 : pageBytes(page));
}
