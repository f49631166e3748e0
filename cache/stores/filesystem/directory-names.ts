/**
 * The names in one directory as of a moment, compact: 32 bytes for a SHA-256. One directory has all versions of an origin,
 * perhaps a million, and reading it takes seconds; all 256 shards are listed from one reading.
 */
import type { FileResults } from './file-request.ts';

const HASH_BYTES = 32;
/** Shorter than the time for which no chunk is removed: what others write meanwhile may be missing from a list. */
const MAX_LIFE_MS = 5 * 60_000;
/** Urgent sweeps list all 256 shards in 5 s. */
const MIN_LIFE_MS = 1_000;
/** Readings take 2 % of the time of one thread at most: one that takes 6 s or longer is used for the longest time. */
const LIFE_PER_READING = 50;
/** Names that were written after the directory was read. More make it worth to read it again. */
const MAX_ADDED = 10_000;

export class DirectoryNames {
  readonly path: string;
  readonly #endMs: number;
  readonly #from: string;
  readonly #to: string | undefined;
  readonly #hashes: Buffer;
  readonly #others: readonly string[];
  readonly #added = new Set<string>();

  /** `startedMs`, `endedMs`: of the reading, by the clock of the process. */
  constructor(
    path: string,
    from: string,
    { hashes, others, to }: FileResults['names'],
    { startedMs, endedMs }: { readonly startedMs: number; readonly endedMs: number },
  ) {
    this.path = path;
    const lifeMs = LIFE_PER_READING * (endedMs - startedMs);
    this.#endMs = startedMs + Math.min(Math.max(lifeMs, MIN_LIFE_MS), MAX_LIFE_MS);
    this.#from = from;
    this.#to = to;
    this.#hashes = Buffer.from(hashes.buffer, hashes.byteOffset, hashes.length);
    this.#others = others;
  }

  /** Names from here on were not kept; undefined = all names were. */
  get to(): string | undefined {
    return this.#to;
  }

  /** Its memory, in hashes: names as text take four times as much. */
  get weight(): number {
    return this.#hashCount + 4 * (this.#others.length + this.#added.size);
  }

  /** Whether it can be used instead of another reading. */
  isCurrent(nowMs: number): boolean {
    return nowMs < this.#endMs;
  }

  /** Whether the names from this one on are known, at least some of them. */
  covers(name: string): boolean {
    return name >= this.#from && (this.#to === undefined || name < this.#to);
  }

  /** Takes note of a file that was written, here or deeper; false if there are too many. */
  addPath(path: string): boolean {
    if (!path.startsWith(`${this.path}/`)) return true;
    const rest = path.slice(this.path.length + 1);
    const slash = rest.indexOf('/');
    const name = slash < 0 ? rest : rest.slice(0, slash);
    if (this.covers(name)) this.#added.add(name);
    return this.#added.size <= MAX_ADDED;
  }

  /** The first `limit` names from `from` on that begin with `stem`, in order. */
  select(stem: string, from: string, limit: number): string[] {
    const found = new Set<string>();
    const start = from > stem ? from : stem;
    for (let at = this.#firstHash(start), count = 0; at < this.#hashCount && count < limit; at++, count++) {
      const name = this.#hash(at);
      if (!name.startsWith(stem)) break;
      found.add(name);
    }
    let others = 0;
    for (const name of this.#others) {
      if (name < start || !name.startsWith(stem)) continue;
      found.add(name);
      if (++others === limit) break;
    }
    for (const name of this.#added) if (name >= start && name.startsWith(stem)) found.add(name);
    return [...found].toSorted().slice(0, limit);
  }

  get #hashCount(): number {
    return this.#hashes.length / HASH_BYTES;
  }

  #hash(at: number): string {
    return this.#hashes.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES);
  }

  /** The first hash that is not before `name`. */
  #firstHash(name: string): number {
    let low = 0;
    let high = this.#hashCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#hash(middle) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
