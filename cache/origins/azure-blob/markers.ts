/**
 * Azure's markers from earlier pages, so that a list continues where the last page ended instead of starting again. Only
 * the service can make a marker; it cannot be computed from a key. Bounded; without its marker a list starts again.
 */
import { compareKeys, rolledUpInto, type ListQuery } from '#cache/core/s3/listing.ts';

/** A marker and a key: usually a few hundred bytes, at most a few KiB. */
const MAX_MARKERS = 5_000;
/** A marker names a position, which should not expire; but Azure does not promise that. */
const MAX_AGE_MS = 600_000;

export interface Position {
  readonly marker: string;
  /** The greatest name before the marker, in S3's order. */
  readonly greatest: string;
}

interface NotedPosition extends Position {
  readonly notedMs: number;
}

export const START: Position = { marker: '', greatest: '' };

export class Markers {
  readonly #now: () => number;
  /** Bucket and prefix → greatest name → position; the least recently updated list first. */
  readonly #lists = new Map<string, Map<string, NotedPosition>>();
  #count = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  note(bucket: string, prefix: string, position: Position): void {
    const list = this.#lists.get(nameOf(bucket, prefix)) ?? new Map<string, NotedPosition>();
    this.#count += list.has(position.greatest) ? 0 : 1;
    list.set(position.greatest, { ...position, notedMs: this.#now() });
    this.#lists.delete(nameOf(bucket, prefix));
    this.#lists.set(nameOf(bucket, prefix), list);
    for (const [name, { size }] of this.#lists) {
      if (this.#count <= MAX_MARKERS) return;
      this.#lists.delete(name);
      this.#count -= size;
    }
  }

  /** The last known position before which every name is on an earlier page of the query. */
  before(bucket: string, query: ListQuery): Position {
    const { prefix, after } = query;
    const list = this.#lists.get(nameOf(bucket, prefix));
    if (list === undefined || after === '') return START;
    let best = START;
    for (const position of list.values()) {
      if (this.#now() - position.notedMs > MAX_AGE_MS) continue;
      const name = rolledUpInto(position.greatest, query) ?? position.greatest;
      if (compareKeys(name, after) <= 0 && compareKeys(position.greatest, best.greatest) >= 0) best = position;
    }
    return best;
  }

  forget(bucket: string, prefix: string): void {
    this.#count -= this.#lists.get(nameOf(bucket, prefix))?.size ?? 0;
    this.#lists.delete(nameOf(bucket, prefix));
  }
}

function nameOf(bucket: string, prefix: string): string {
  return JSON.stringify([bucket, prefix]);
}
