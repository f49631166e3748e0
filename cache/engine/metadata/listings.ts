/**
 * Lists are read through to the origin, since the cachestore does not know which objects exist. Concurrent requests for
 * the same page are coalesced (singleflight). A page is kept for a few seconds, since tools that walk a tree request
 * the same pages again and again.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { LruTable } from '#cache/core/lru-table.ts';
import { nameOf, type ListPage, type ListQuery } from '#cache/core/s3/listing.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';
import { Singleflight } from '#shared/singleflight.ts';

/** A page of a large bucket takes seconds at some origins. */
const FIRST_BYTE_TIMEOUT_MS = 10_000;
/** Items of all kept pages: at some 300 bytes each, 30 MiB. A long name counts as several items. */
const MAX_ITEMS = 100_000;
const NAME_LENGTH = 256;

export interface ListingsOptions extends OriginCallContext {
  /** How long a page is kept; 0 = not at all. */
  readonly ttlMs: number;
}

interface Entry {
  readonly answer: { readonly page: ListPage } | { readonly error: unknown };
  readonly untilMs: number;
}

export class Listings {
  readonly #options: ListingsOptions;
  readonly #flights = new Singleflight<string, ListPage>();
  readonly #kept = new LruTable<Entry>({
    maxEntries: MAX_ITEMS,
    maxWeight: MAX_ITEMS,
    weigh: (_name, { answer }) => 1 + ('page' in answer ? itemsOf(answer.page) : 0),
  });

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /** Rejects with the origin's codes. `bucket` is the origin's. */
  async list(bucket: string, query: ListQuery, signal: AbortSignal): Promise<ListPage> {
    const { prefix, delimiter, after, maxKeys } = query;
    const name = JSON.stringify([bucket, prefix, delimiter, after, maxKeys]);
    const kept = this.#kept.get(name);
    if (kept !== undefined && this.#options.clock.now() < kept.untilMs) {
      if ('error' in kept.answer) throw kept.answer.error;
      return kept.answer.page;
    }
    return abortable(
      this.#flights.do(name, () => this.#ask(name, bucket, query)),
      signal,
    );
  }

  async #ask(name: string, bucket: string, query: ListQuery): Promise<ListPage> {
    const { origin } = this.#options;
    const call = { operation: 'list', bucket, firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS } as const;
    try {
      const page = await callOrigin(this.#options, call, (options) => origin.list(bucket, query, options));
      this.#keep(name, { page });
      return page;
    } catch (error) {
      // An answer that would be the same on the next attempt is kept too.
      if (hasCode(error, 'bucket_not_found', 'access_denied')) this.#keep(name, { error });
      throw error;
    }
  }

  #keep(name: string, answer: Entry['answer']): void {
    const { ttlMs, clock } = this.#options;
    if (ttlMs > 0) this.#kept.set(name, { answer, untilMs: clock.now() + ttlMs });
  }
}

/** The weight of a page. */
function itemsOf({ items }: ListPage): number {
  return items.reduce((sum, item) => sum + 1 + Math.floor(nameOf(item).length / NAME_LENGTH), 0);
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
