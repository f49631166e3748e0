/**
 * Lists are read through to the origin, since the cachestore does not know which objects exist. Concurrent requests for
 * the same page are coalesced (singleflight). A page is used for a few seconds, since tools that walk a tree request
 * the same pages again and again. While the origin does not answer, the last known page is served (stale-if-error), from
 * memory or from the cachestore.
 */
import { ACCEPTS_ALL, type ClientCacheControl } from '#cache/core/cache-control.ts';
import { hasCode, OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { pageBytes, type ListPage, type ListQuery } from '#cache/core/s3/listing.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import { callOrigin, LIST_FIRST_BYTE_TIMEOUT_MS, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';
import { FreshFlights } from './fresh-flights.ts';
import { ListRefusals, refusalScope, type RefusalScope } from './list-refusals.ts';
import type { StoredLists } from './stored-lists.ts';

/** The limit of all pages in memory, which is 100 to 150 pages of 1000 keys. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Recent refusals: each takes less than 1 KiB. */
const MAX_REFUSALS = 1_000;
/** How often a replica looks in the cachestore for a newer page, or for a refusal. */
const CHECK_STORED_MS = 30_000;
/** A slower failure is not repeated by each client: one in this interval waits for the origin again. */
const SLOW_FAILURE_MS = 2_000;
/** As often as the circuit breaker of the origin. */
const PROBE_EVERY_MS = 5_000;
/** Origin outages, as for objects: the last known page stays valid. */
const OUTAGE: readonly ErrorCode[] = ['origin_unavailable', 'origin_throttled'];
/** Answers that would be the same on the next attempt: they are kept for the TTL. */
const LASTING: readonly ErrorCode[] = ['bucket_not_found', 'access_denied'];

export interface ListingsOptions extends OriginCallContext {
  /** How long a page is used without asking the origin; 0 = not at all. */
  readonly ttlMs: number;
  /** How long a page is served while the origin does not answer; 0 = not at all. */
  readonly staleIfErrorMs: number;
  readonly stored: StoredLists;
}

export interface ListAnswer {
  readonly page: ListPage;
  readonly ageMs: number;
  /** The origin does not answer; this is the last known page. */
  readonly stale: boolean;
}

interface Kept {
  readonly page: ListPage;
  readonly learnedMs: number;
  /** When the cachestore was last read for a newer page. */
  readonly checkedMs: number;
}

interface Asked {
  readonly name: string;
  readonly bucket: string;
  readonly query: ListQuery;
}

export class Listings {
  readonly #options: ListingsOptions;
  readonly #calls = new FreshFlights<Kept>();
  readonly #storedReads = new Singleflight<string, Kept | undefined>();
  readonly #pages = new LruTable<Kept>({
    maxEntries: MAX_BYTES,
    maxWeight: MAX_BYTES,
    weigh: (name, { page }) => 2 * name.length + pageBytes(page),
  });
  readonly #failures = new LruTable<{ readonly error: unknown; readonly learnedMs: number }>({
    maxEntries: MAX_REFUSALS,
  });
  readonly #refusals = new ListRefusals();
  /** Buckets whose origin was silent: until then known pages are served at once. Bounded by the allow-list. */
  readonly #silentUntilMs = new Map<string, number>();

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /** The memory of all kept pages, as estimated. */
  get sizeBytes(): number {
    return this.#pages.weight;
  }

  /** Rejects with the origin's codes, or `not_cached`. `bucket` is the origin's. */
  async list(
    bucket: string,
    query: ListQuery,
    signal: AbortSignal,
    { maxAgeMs = Number.POSITIVE_INFINITY, onlyIfCached }: ClientCacheControl = ACCEPTS_ALL,
  ): Promise<ListAnswer> {
    const { observer, clock } = this.#options;
    const ttlMs = Math.min(this.#options.ttlMs, maxAgeMs);
    const { prefix, delimiter, after, maxKeys } = query;
    const asked = { name: JSON.stringify([bucket, prefix, delimiter, after, maxKeys]), bucket, query };
    const failure = this.#failures.get(asked.name);
    if (failure !== undefined && this.#ageMs(failure) < ttlMs) throw failure.error;
    const kept = this.#known(asked);
    if (kept !== undefined && this.#ageMs(kept) < ttlMs) {
      observer.list('memory');
      return this.#answer(kept, false);
    }
    if (onlyIfCached) throw new OrcaError('not_cached', 'the page of the list is not in memory');
    const startedMs = clock.now();
    if (maxAgeMs > 0 && startedMs < (this.#silentUntilMs.get(bucket) ?? 0)) {
      const last = await this.#stale(asked, signal);
      if (last !== undefined) return last;
    }
    try {
      const fresh = await abortable(this.#ask(asked, kept !== undefined, ttlMs), signal);
      this.#silentUntilMs.delete(bucket);
      observer.list('origin');
      return this.#answer(fresh, false);
    } catch (error) {
      if (!hasCode(error, ...OUTAGE)) throw error;
      const nowMs = clock.now();
      if (nowMs - startedMs >= SLOW_FAILURE_MS) this.#silentUntilMs.set(bucket, nowMs + PROBE_EVERY_MS);
      const last = await this.#stale(asked, signal);
      if (last === undefined) throw error;
      return last;
    }
  }

  /** The page as the origin has it now. It is not kept: a walk over a whole bucket would replace the pages of clients. */
  fresh(bucket: string, query: ListQuery): Promise<ListPage> {
    return callOrigin(this.#options, { operation: 'list', bucket }, (options) =>
      this.#options.origin.list(bucket, query, options),
    );
  }

  async #stale(asked: Asked, signal: AbortSignal): Promise<ListAnswer | undefined> {
    const last = await abortable(this.#lastKnown(asked), signal);
    if (last === undefined) return undefined;
    this.#options.observer.list('stale');
    return this.#answer(last, true);
  }

  /** One call to the origin for all requests at the same time. */
  async #ask(asked: Asked, isRepeated: boolean, ttlMs: number): Promise<Kept> {
    const call = this.#calls.do(asked.name, ttlMs > 0, () => this.#call(asked, isRepeated));
    if (!isRepeated) return call;
    // There is something to serve: an origin that stays silent for as long as an attempt may take has failed.
    const late = () => new OrcaError('origin_unavailable', `no list within ${LIST_FIRST_BYTE_TIMEOUT_MS} ms`);
    return withDeadline(this.#options.clock, LIST_FIRST_BYTE_TIMEOUT_MS, late, undefined, (signal) =>
      abortable(call, signal),
    );
  }

  async #call(asked: Asked, isRepeated: boolean): Promise<Kept> {
    const { origin, clock, stored } = this.#options;
    const { name, bucket, query } = asked;
    const call = { operation: 'list', bucket } as const;
    const learnedMs = clock.now();
    try {
      const page = await callOrigin(this.#options, call, (options) => origin.list(bucket, query, options));
      const kept = { page, learnedMs, checkedMs: learnedMs };
      this.#failures.delete(name);
      this.#pages.set(name, kept);
      if (this.#options.staleIfErrorMs > 0) stored.record(name, page, learnedMs, isRepeated);
      return kept;
    } catch (error) {
      if (hasCode(error, ...LASTING)) this.#failures.set(name, { error, learnedMs });
      this.#refused(asked, refusalScope(error), learnedMs);
      throw error;
    }
  }

  #refused({ name, bucket, query }: Asked, scope: RefusalScope | undefined, learnedMs: number): void {
    if (scope === undefined) return;
    const { stored } = this.#options;
    this.#pages.delete(name);
    this.#refusals.refuse(scope, bucket, query.prefix, learnedMs);
    if (scope === 'bucket') stored.refuseBucket(bucket, learnedMs);
    else stored.refuse(name, learnedMs);
  }

  /** The page to serve while the origin is down: from memory, or a newer one from the cachestore. */
  async #lastKnown(asked: Asked): Promise<Kept | undefined> {
    const kept = this.#known(asked);
    if (this.#options.staleIfErrorMs === 0) return undefined;
    if (kept !== undefined && this.#options.clock.now() - kept.checkedMs < CHECK_STORED_MS) return kept;
    return this.#storedReads.do(asked.name, () => this.#readStored(asked, kept));
  }

  async #readStored(asked: Asked, kept: Kept | undefined): Promise<Kept | undefined> {
    const { name, bucket, query } = asked;
    const { clock, stored } = this.#options;
    const [found, bucketRefusedMs] = await Promise.all([stored.read(name), stored.bucketRefusedMs(bucket)]);
    // Another replica got a refusal of the page, or of all pages.
    if (bucketRefusedMs !== undefined) this.#refusals.refuse('bucket', bucket, '', bucketRefusedMs);
    if (found !== undefined && found.page === undefined)
      this.#refusals.refuse('prefix', bucket, query.prefix, found.learnedMs);
    const isNewer = found?.page !== undefined && found.learnedMs > (kept?.learnedMs ?? Number.NEGATIVE_INFINITY);
    const last = isNewer ? found : kept;
    if (last?.page === undefined) return undefined;
    this.#pages.set(name, { page: last.page, learnedMs: last.learnedMs, checkedMs: clock.now() });
    return this.#known(asked);
  }

  /** The page in memory, unless it is too old for any use or the origin has refused it since. */
  #known({ name, bucket, query }: Asked): Kept | undefined {
    const { ttlMs, staleIfErrorMs } = this.#options;
    const kept = this.#pages.get(name);
    if (kept === undefined || this.#ageMs(kept) > Math.max(ttlMs, staleIfErrorMs)) return undefined;
    return this.#refusals.lastMs(bucket, query.prefix) >= kept.learnedMs ? undefined : kept;
  }

  #ageMs({ learnedMs }: { readonly learnedMs: number }): number {
    return Math.max(0, this.#options.clock.now() - learnedMs);
  }

  #answer(kept: Kept, stale: boolean): ListAnswer {
    return { page: kept.page, ageMs: this.#ageMs(kept), stale };
  }
}

/** A bucket rule's prefix: `underPrefix` puts a client's query under it, `withoutPrefix` removes it from the answer. */
export function underPrefix(prefix: string, query: ListQuery): ListQuery {
  if (prefix === '') return query;
  return { ...query, prefix: prefix + query.prefix, after: query.after === '' ? '' : prefix + query.after };
}

export function withoutPrefix(prefix: string, page: ListPage): ListPage {
  if (prefix === '') return page;
  const strip = (name: string): string => {
    if (!name.startsWith(prefix))
      throw new OrcaError('origin_unavailable', 'the origin listed a name outside the requested prefix');
    return name.slice(prefix.length);
  };
  return {
    ...page,
    items: page.items.map((item) =>
      item.kind === 'prefix'
        ? { kind: 'prefix', prefix: strip(item.prefix) }
        : { kind: 'object', entry: { ...item.entry, key: strip(item.entry.key) } },
    ),
  };
}
