/**
 * Azure's order of names made S3's. Flat accounts sort by UTF-16 code units, where characters beyond U+FFFF come before
 * U+E000; hierarchical ones by path segments, so that everything below `a/` comes before `a-b`. What may have a smaller
 * one behind it is held back until it can't have any more. Pure.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { compareKeys } from '#cache/core/s3/listing.ts';

/** `segments`: of an account with a hierarchical namespace. */
export type NameOrder = 'flat' | 'segments';

export interface Named {
  readonly name: string;
}

/** So many that wait for what comes behind them are held in memory, at some 300 bytes each. */
export const MAX_HELD = 100_000;

const SLASH = '/'.charCodeAt(0);

export class S3Order<T extends Named> {
  readonly #prefix: string;
  readonly #after: string;
  readonly #maxHeld: number;
  #order: NameOrder = 'flat';
  #last: string | undefined;
  #held: T[] = [];
  /** All that is held begins with it, and nothing that does not can come before it. */
  #under = '';

  /** `prefix`: what all names begin with. `after`: names up to there are not pushed; empty = all are. */
  constructor(prefix: string, after: string, maxHeld = MAX_HELD) {
    this.#prefix = prefix;
    this.#after = after;
    this.#maxHeld = maxHeld;
  }

  /** Before the first name that has a `/` behind the prefix: a hierarchical account tells by its directories. */
  sortsBySegments(): void {
    this.#order = 'segments';
  }

  /** Names in Azure's order; what can be placed now, in S3's. Throws `origin_unsupported` where the order is another. */
  push(item: T): T[] {
    const { name } = item;
    if (this.#last !== undefined && compareIn(this.#order, this.#last, name) >= 0)
      throw new OrcaError('origin_unsupported', 'the origin lists in an order that is not known');
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
        `more than ${this.#maxHeld} names below ${JSON.stringify(this.#under)} can't be put into S3's order`,
      );
    this.#held.push(item);
    return ready;
  }

  /** There is no more: what is held, in S3's order. */
  flush(): T[] {
    const held = this.#held.toSorted((a, b) => compareKeys(a.name, b.name));
    this.#held = [];
    return held;
  }

  /** Nothing is held. */
  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Whether whatever could come before what is held would have come before this name. */
  #leaves(name: string): boolean {
    if (!name.startsWith(this.#under)) return true;
    // Held for a slash: what sorts before it has only smaller characters in its place.
    const isForSlash = this.#held[0]?.name.charCodeAt(this.#under.length) === SLASH;
    return isForSlash && name.charCodeAt(this.#under.length) > SLASH;
  }

  /** Where a later name may differ from this one and come before it; negative if nowhere. */
  #mayBePreceded(name: string): number {
    const special = this.#order === 'flat' ? /[\ud800-\udfff]/g : /[/\ud800-\udfff]/g;
    special.lastIndex = this.#prefix.length;
    for (;;) {
      const at = special.exec(name)?.index;
      if (at === undefined) return -1;
      // What would come before it here comes before the mark too.
      if (!this.#after.startsWith(name.slice(0, at + 1))) return at;
    }
  }
}

/** As Azure sorts. */
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
