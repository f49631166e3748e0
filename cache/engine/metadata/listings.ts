/**
 * Lists go through to the origin: what is stored here says nothing of what is there. Equal questions at once are one
 * question, and its answer is good for a few seconds, since tools that walk a tree ask for the same again and again.
 */
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import { nameOf, type ListPage, type ListQuery } from '#cache/core/s3/listing.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { callOrigin, type OriginCallContext } from '#cache/engine/upstream/origin-call.ts';

/** A page of a large bucket takes seconds at some origins. */
const FIRST_BYTE_TIMEOUT_MS = 10_000;
/** Items of all remembered pages: at some 300 bytes each, 30 MiB. A long name counts as several. */
const MAX_ITEMS = 100_000;
const NAME_LENGTH = 256;

export interface ListingsOptions extends OriginCallContext {
  /** How long a page is good for; 0 = it is not kept. */
  readonly ttlMs: number;
}

interface Entry {
  readonly page: Promise<ListPage>;
  /** undefined while it is asked for. */
  untilMs: number | undefined;
  items: number;
}

export class Listings {
  readonly #options: ListingsOptions;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();
  #items = 0;

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /** Rejects with the origin's codes. `bucket` is the origin's. */
  async list(bucket: string, query: ListQuery, signal: AbortSignal): Promise<ListPage> {
    const { prefix, delimiter, after, maxKeys } = query;
    const name = JSON.stringify([bucket, prefix, delimiter, after, maxKeys]);
    const known = this.#entries.get(name);
    const isGood = known !== undefined && (known.untilMs === undefined || this.#options.clock.now() < known.untilMs);
    const { page } = isGood ? known : this.#ask(name, bucket, query);
    return abortable(page, signal);
  }

  /** It belongs to no caller: one that leaves takes nothing from the others. */
  #ask(name: string, bucket: string, query: ListQuery): Entry {
    const { origin, ttlMs, clock } = this.#options;
    this.#drop(name);
    const call = { operation: 'list', bucket, firstByteTimeoutMs: FIRST_BYTE_TIMEOUT_MS } as const;
    const page = callOrigin(this.#options, call, (options) => origin.list(bucket, query, options));
    const entry: Entry = { page, untilMs: undefined, items: 0 };
    this.#entries.set(name, entry);
    const settled = (items: number, keepMs: number) => {
      if (this.#entries.get(name) !== entry) return;
      if (keepMs === 0) {
        this.#entries.delete(name);
        return;
      }
      entry.untilMs = clock.now() + keepMs;
      // One more, so that empty pages are bounded too.
      entry.items = items + 1;
      this.#items += entry.items;
      this.#trim();
    };
    page.then(
      ({ items }) =>
        settled(
          items.reduce((sum, item) => sum + 1 + Math.floor(nameOf(item).length / NAME_LENGTH), 0),
          ttlMs,
        ),
      // What will be the same on the next try is an answer too.
      (error: unknown) => settled(0, hasCode(error, 'bucket_not_found', 'access_denied') ? ttlMs : 0),
    );
    return entry;
  }

  #trim(): void {
    for (const [name, { untilMs }] of this.#entries) {
      if (this.#items <= MAX_ITEMS) return;
      if (untilMs !== undefined) this.#drop(name);
    }
  }

  #drop(name: string): void {
    this.#items -= this.#entries.get(name)?.items ?? 0;
    this.#entries.delete(name);
  }
}

/** Where a bucket's clients may look: `query` in the origin's names, and its answer in theirs. */
export function underPrefix(prefix: string, query: ListQuery): ListQuery {
  if (prefix === '') return query;
  return { ...query, prefix: prefix + query.prefix, after: query.after === '' ? '' : prefix + query.after };
}

export function withoutPrefix(prefix: string, page: ListPage): ListPage {
  if (prefix === '') return page;
  const strip = (name: string): string => {
    if (!name.startsWith(prefix)) throw new OrcaError('origin_unavailable', 'the origin lists what was not asked for');
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
