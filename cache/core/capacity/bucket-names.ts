/** Numbers for names of buckets, so that a record holds two bytes instead of a name. */

/** More buckets than a cache usually serves; the accounts of further ones are added up under `OTHER_BUCKET`. */
export const MAX_BUCKETS = 1_000;
/** No bucket has this name: S3 and Azure allow no underscore at the beginning. */
export const OTHER_BUCKET = '_other';
/** The number of a bucket that is not known, or one too many. */
export const NO_BUCKET = 0;

export class BucketNames {
  readonly #names: string[];
  readonly #numbers: Map<string, number>;

  /** `names` in the order of their numbers, from 1. */
  constructor(names: readonly string[] = []) {
    this.#names = names.slice(0, MAX_BUCKETS);
    this.#numbers = new Map(this.#names.map((name, at) => [name, at + 1]));
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /** Adds the name if there is room. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.#names.length >= MAX_BUCKETS || name === OTHER_BUCKET) return NO_BUCKET;
    this.#names.push(name);
    this.#numbers.set(name, this.#names.length);
    return this.#names.length;
  }

  nameOf(number: number): string {
    return this.#names[number - 1] ?? OTHER_BUCKET;
  }
}

/** Bytes by bucket. */
export type BytesByBucket = ReadonlyMap<string, number>;

/** Adds `more` to `into`; what exceeds the limit of names goes to `OTHER_BUCKET`. */
export function addByBucket(into: Map<string, number>, more: BytesByBucket): void {
  for (const [name, bytes] of more) addBucketBytes(into, name, bytes);
}

export function addBucketBytes(into: Map<string, number>, name: string, bytes: number): void {
  const known = into.get(name);
  if (known !== undefined || into.size < MAX_BUCKETS) into.set(name, (known ?? 0) + bytes);
  else into.set(OTHER_BUCKET, (into.get(OTHER_BUCKET) ?? 0) + bytes);
}

/** The `maxNames` largest; the rest is added up under `OTHER_BUCKET`, so that the sum stays the same. */
export function largestBuckets(bytes: BytesByBucket, maxNames: number): Map<string, number> {
  const sorted = [...bytes].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const kept = new Map(sorted.filter(([name]) => name !== OTHER_BUCKET).slice(0, maxNames));
  let otherBytes = 0;
  for (const [name, size] of sorted) if (!kept.has(name)) otherBytes += size;
  if (otherBytes > 0) kept.set(OTHER_BUCKET, otherBytes);
  return kept;
}
