/**
 * Converts Azure's order of names to S3's. Flat accounts sort by UTF-16 code units, where characters beyond U+FFFF come
 * before U+E000. Hierarchical accounts sort by path segments, so that everything below `a/` comes before `a-b`. A name
 * is held back as long as a later one may sort before it. Pure.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { compareKeys } from '#cache/core/s3/listing.ts';

/** `segments` is the order of accounts with a hierarchical namespace. */
export type NameOrder = 'flat' | 'segments';

export interface Named {
  readonly name: string;
}

/** The maximum number of names that are held back in memory, at about 300 bytes each. */
export const MAX_HELD = 100_000;

const SLASH = '/'.charCodeAt(0);

export class S3Order<T extends Named> {
  readonly #prefix: string;
  readonly #after: string;
  readonly #maxHeld: number;
  #order: NameOrder = 'flat';
  #last: string | undefined;
  #held: T[] = [];
  /** All held names begin with it, and a name that does not cannot sort before them. */
  #under = '';

  /** All names begin with `prefix`. Names up to `after` are not pushed; empty = all are. */
  constructor(prefix: string, after: string, maxHeld = MAX_HELD) {
    this.#prefix = prefix;
    this.#after = after;
    this.#maxHeld = maxHeld;
  }

  /** Call before the first name with a `/` after the prefix: a hierarchical account is recognized by its directories. */
  sortsBySegments(): void {
    this.#order = 'segments';
  }

  /** Takes names in Azure's order and returns the ones that are final, in S3's. Throws `origin_unsupported` for other orders. */
  push(item: T): T[] {
    const { name } = item;
    if (this.#last !== undefined && compareIn(this.#order, this.#last, name) >= 0)
      throw new OrcaError('origin_unsupported', 'the origin lists names in an unknown order');
    this.#last = name;
    const ready = this.#held.length > 0 && this.#leaves(name) ? this.flush() : [];
    if (this.#held.length === 0) {
      const at = this.#mayBePreceded(name);
      if (at < 0) return [...ready, item];
      this.#under = name.slice(0, at);
    }
    if (this.#held.length >= this.#maxHeld)
      throw new OrcaError(
        'origin_unsupported',
        `more than ${this.#maxHeld} names under ${JSON.stringify(this.#under)} cannot be sorted in S3's order; list with the delimiter / or a longer prefix`,
      );
    this.#held.push(item);
    return ready;
  }

  /** Returns the held names, in S3's order: no name follows that sorts before them. */
  flush(): T[] {
    const held = this.#held.toSorted((a, b) => compareKeys(a.name, b.name));
    this.#held = [];
    return held;
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Whether every name that sorts before the held ones would have come before this one. */
  #leaves(name: string): boolean {
    if (!name.startsWith(this.#under)) return true;
    // Held because of a slash: names that sort before it have a smaller character in its place.
    const isForSlash = this.#held[0]?.name.charCodeAt(this.#under.length) === SLASH;
    return isForSlash && name.charCodeAt(this.#under.length) > SLASH;
  }

  /** The index at which a later name may differ and sort before this one; -1 without one. */
  #mayBePreceded(name: string): number {
    const special = this.#order === 'flat' ? /[\ud800-\udfff]/g : /[/\ud800-\udfff]/g;
    special.lastIndex = this.#prefix.length;
    for (;;) {
      const at = special.exec(name)?.index;
      if (at === undefined) return -1;
      // A name that sorts before it at this index also sorts before `after`.
      if (!this.#after.startsWith(name.slice(0, at + 1))) return at;
    }
  }
}

/** Azure's order. */
export function compareIn(order: NameOrder, a: string, b: string): number {
  if (a === b) return 0;
  if (order === 'flat') return a < b ? -1 : 1;
  const [left, right] = [a.split('/'), b.split('/')];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const [one = '', other = ''] = [left[at], right[at]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return left.length - right.length;
}
