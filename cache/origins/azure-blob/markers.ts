/**
 * Azure's own markers from walks that were made, so that a list goes on where the last page ended instead of walking from
 * the start again: a marker can only be had from the service, never be made from a key. Bounded; what is forgotten is
 * walked again.
 */
import { compareKeys, rolledUpInto, type ListQuery } from '#cache/core/s3/listing.ts';

/** A marker and a key: some KiB at most, a few hundred bytes mostly. */
const MAX_MARKS = 5_000;
/** Markers say a place, and places don't expire; but nothing promises that. */
const MAX_AGE_MS = 600_000;

export interface Mark {
  readonly marker: string;
  /** The greatest name, in S3's order, of all that come before it. */
  readonly greatest: string;
}

interface Noted extends Mark {
  readonly notedMs: number;
}

export const START: Mark = { marker: '', greatest: '' };

export class Marks {
  readonly #now: () => number;
  /** Bucket and prefix → greatest name → mark; the least recently noted first. */
  readonly #walks = new Map<string, Map<string, Noted>>();
  #count = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  note(bucket: string, prefix: string, mark: Mark): void {
    const walk = this.#walks.get(nameOf(bucket, prefix)) ?? new Map<string, Noted>();
    this.#count += walk.has(mark.greatest) ? 0 : 1;
    walk.set(mark.greatest, { ...mark, notedMs: this.#now() });
    this.#walks.delete(nameOf(bucket, prefix));
    this.#walks.set(nameOf(bucket, prefix), walk);
    for (const [name, { size }] of this.#walks) {
      if (this.#count <= MAX_MARKS) return;
      this.#walks.delete(name);
      this.#count -= size;
    }
  }

  /** The furthest place before which there is nothing that the query still wants. */
  before(bucket: string, query: ListQuery): Mark {
    const { prefix, after } = query;
    const walk = this.#walks.get(nameOf(bucket, prefix));
    if (walk === undefined || after === '') return START;
    let best = START;
    for (const mark of walk.values()) {
      if (this.#now() - mark.notedMs > MAX_AGE_MS) continue;
      const name = rolledUpInto(mark.greatest, query) ?? mark.greatest;
      if (compareKeys(name, after) <= 0 && compareKeys(mark.greatest, best.greatest) >= 0) best = mark;
    }
    return best;
  }

  forget(bucket: string, prefix: string): void {
    this.#count -= this.#walks.get(nameOf(bucket, prefix))?.size ?? 0;
    this.#walks.delete(nameOf(bucket, prefix));
  }
}

function nameOf(bucket: string, prefix: string): string {
  return JSON.stringify([bucket, prefix]);
}
