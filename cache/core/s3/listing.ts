/**
 * A page of a list, as S3 cuts it: in the order of the keys' UTF-8 bytes, keys that share a part up to the delimiter
 * rolled up into one prefix. Pure: an origin that does none of it can be listed with this, and the others be checked.
 */

export interface ObjectEntry {
  readonly key: string;
  /** Unquoted, as a HEAD gives it. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  readonly storageClass: string;
  /** Of the checksums that the origin keeps: their names, and whether they are of the whole or of the parts'. */
  readonly checksums?: { readonly algorithms: readonly string[]; readonly type: string | undefined } | undefined;
  /** What S3 says of a restore that runs or has run; only of archived objects. */
  readonly restore?: string | undefined;
}

export interface ListQuery {
  readonly prefix: string;
  /** Empty = none; any text otherwise. */
  readonly delimiter: string;
  /** Only what comes behind it; empty = from the start. */
  readonly after: string;
  /** Keys and prefixes together, 1 to 1000. */
  readonly maxKeys: number;
}

export type ListItem =
  | { readonly kind: 'object'; readonly entry: ObjectEntry }
  | { readonly kind: 'prefix'; readonly prefix: string };

export interface ListPage {
  /** Ascending. */
  readonly items: readonly ListItem[];
  /** There is more behind the last item. */
  readonly truncated: boolean;
}

/** How S3 orders: by UTF-8 bytes. JavaScript compares UTF-16 units, which differ behind U+D7FF. */
export function compareKeys(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** What an item is placed by, and what a next page goes on behind. */
export function nameOf(item: ListItem): string {
  return item.kind === 'object' ? item.entry.key : item.prefix;
}

/** The prefix that `key` is rolled up into; undefined if it stands for itself. */
export function rolledUpInto(
  key: string,
  { prefix, delimiter }: Pick<ListQuery, 'prefix' | 'delimiter'>,
): string | undefined {
  if (delimiter === '') return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/** One page out of ascending entries, which may come from any place before it to any place behind it. */
export class PageBuilder {
  readonly #query: ListQuery;
  readonly #items: ListItem[] = [];
  #last = '';
  #truncated = false;

  constructor(query: ListQuery) {
    this.#query = query;
  }

  /** False once the page is full and is known to have something behind it: then no more is needed. */
  add(entry: ObjectEntry): boolean {
    const { prefix, after, maxKeys } = this.#query;
    if (this.#truncated) return false;
    if (!entry.key.startsWith(prefix)) return true;
    const rolled = rolledUpInto(entry.key, this.#query);
    const name = rolled ?? entry.key;
    // A rolled-up prefix that is not behind the mark was on an earlier page, whatever is in it.
    if ((after !== '' && compareKeys(name, after) <= 0) || (rolled !== undefined && rolled === this.#last)) return true;
    if (this.#items.length === maxKeys) {
      this.#truncated = true;
      return false;
    }
    this.#items.push(rolled === undefined ? { kind: 'object', entry } : { kind: 'prefix', prefix: rolled });
    this.#last = name;
    return true;
  }

  page(): ListPage {
    return { items: this.#items, truncated: this.#truncated };
  }
}
