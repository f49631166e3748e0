/**
 * Pages of a list as S3 defines them: keys in the order of their UTF-8 bytes, and keys with a common prefix up to the
 * delimiter rolled up into one entry. Pure: it serves origins without such lists, and tests compare other origins with it.
 */

export interface ObjectEntry {
  readonly key: string;
  /** Unquoted. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  readonly storageClass: string;
  /** The checksums that the origin keeps: their algorithms, and whether they cover the object or its parts. */
  readonly checksums?: { readonly algorithms: readonly string[]; readonly type: string | undefined } | undefined;
  /** For an archived object, the x-amz-restore status of a restore in progress or completed. */
  readonly restore?: string | undefined;
}

export interface ListQuery {
  readonly prefix: string;
  /** Any text; empty = no delimiter. */
  readonly delimiter: string;
  /** Only entries after this name; empty = from the start. */
  readonly after: string;
  /** The maximum number of keys and prefixes together, 1 to 1000. */
  readonly maxKeys: number;
}

export type ListItem =
  | { readonly kind: 'object'; readonly entry: ObjectEntry }
  | { readonly kind: 'prefix'; readonly prefix: string };

export interface ListPage {
  /** Ascending. */
  readonly items: readonly ListItem[];
  /** Whether more entries follow. */
  readonly truncated: boolean;
}

/** Compares in S3's order, by UTF-8 bytes. JavaScript's order, by UTF-16 units, differs above U+D7FF. */
export function compareKeys(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** The name by which an item is sorted, and after which the next page continues. */
export function nameOf(item: ListItem): string {
  return item.kind === 'object' ? item.entry.key : item.prefix;
}

/** An object with its entry takes 168 bytes in V8, as measured, without its texts. */
const ITEM_BYTES = 200;

/** The memory that a page takes, not underestimated: a text takes at most two bytes a character. */
export function pageBytes({ items }: ListPage): number {
  let sum = ITEM_BYTES;
  for (const item of items)
    sum +=
      ITEM_BYTES + 2 * (item.kind === 'prefix' ? item.prefix.length : item.entry.key.length + item.entry.etag.length);
  return sum;
}

/** The common prefix that `key` is rolled up into; undefined if the key is listed itself. */
export function rolledUpInto(
  key: string,
  { prefix, delimiter }: Pick<ListQuery, 'prefix' | 'delimiter'>,
): string | undefined {
  if (delimiter === '') return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/** Builds one page from ascending entries, which may start before the page and continue after it. */
export class PageBuilder {
  readonly #query: ListQuery;
  readonly #items: ListItem[] = [];
  #last = '';
  #truncated = false;

  constructor(query: ListQuery) {
    this.#query = query;
  }

  /** Returns false once the page is full and known to be truncated: no further entries are needed. */
  add(entry: ObjectEntry): boolean {
    const { prefix, after, maxKeys } = this.#query;
    if (this.#truncated) return false;
    if (!entry.key.startsWith(prefix)) return true;
    const rolled = rolledUpInto(entry.key, this.#query);
    const name = rolled ?? entry.key;
    // A common prefix that does not sort after `after` was on an earlier page.
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
