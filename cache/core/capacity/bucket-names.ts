/** Names of buckets in accounts: numbers for them, so that a record has two bytes instead of a name, and sums. */
import { isArrayUpTo, isCount, isText } from './fields.ts';

/** More buckets than a cache usually serves; further ones are added up under `OTHER_BUCKET`. */
export const MAX_BUCKETS = 1_000;
/** 1,000 names of 63 characters. Legacy names with up to 255 leave room for fewer. */
const MAX_NAMES_LENGTH = 64 * 1024;
/** Legacy S3 bucket names have up to 255 characters. */
const MAX_NAME_LENGTH = 255;
/** No bucket has this name: S3 and Azure allow no underscore at the beginning. */
export const OTHER_BUCKET = '_other';
/** The number of a bucket that is not known, or one too many. */
export const NO_BUCKET = 0;

export class BucketNames {
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();
  #namesLength = 0;

  /** `names` in the order of their numbers, from 1. */
  constructor(names: readonly string[] = []) {
    for (const name of names) this.#add(name);
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /** Adds the name if there is room. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (name === OTHER_BUCKET || this.#names.length >= MAX_BUCKETS) return NO_BUCKET;
    if (this.#namesLength + name.length > MAX_NAMES_LENGTH) return NO_BUCKET;
    this.#add(name);
    return this.#names.length;
  }

  nameOf(number: number): string {
    return this.#names[number - 1] ?? OTHER_BUCKET;
  }

  #add(name: string): void {
    this.#names.push(name);
    this.#namesLength += name.length;
    this.#numbers.set(name, this.#names.length);
  }
}

/** Undefined for anything but the `names` of a BucketNames. */
export function parseBucketNames(value: unknown): BucketNames | undefined {
  if (!isArrayUpTo(value, MAX_BUCKETS)) return undefined;
  const names = value.filter((name): name is string => isText(name, MAX_NAME_LENGTH));
  const length = names.reduce((sum, name) => sum + name.length, 0);
  // A name that occurs twice would have two numbers.
  const isValid = names.length === value.length && length <= MAX_NAMES_LENGTH && new Set(names).size === names.length;
  return isValid ? new BucketNames(names) : undefined;
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

/** The `maxNames` largest; the others are added up under `OTHER_BUCKET`, so that the sum stays the same. */
export function largestBuckets(bytes: BytesByBucket, maxNames: number): Map<string, number> {
  const sorted = [...bytes].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const kept = new Map(sorted.filter(([name]) => name !== OTHER_BUCKET).slice(0, maxNames));
  let otherBytes = 0;
  for (const [name, size] of sorted) if (!kept.has(name)) otherBytes += size;
  if (otherBytes > 0) kept.set(OTHER_BUCKET, otherBytes);
  return kept;
}

/** Pairs, because an object with names from outside as keys would treat `__proto__` differently. */
export function formatByBucket(bytes: BytesByBucket): readonly (readonly [string, number])[] {
  return [...bytes];
}

/** Undefined for anything but pairs of `formatByBucket`. */
export function parseByBucket(value: unknown): Map<string, number> | undefined {
  // One more than the limit: OTHER_BUCKET.
  if (!isArrayUpTo(value, MAX_BUCKETS + 1)) return undefined;
  const bytes = new Map<string, number>();
  for (const pair of value) {
    if (!isArrayUpTo(pair, 2)) return undefined;
    const [name, size] = pair;
    if (!isText(name, MAX_NAME_LENGTH) || !isCount(size) || bytes.has(name)) return undefined;
    bytes.set(name, size);
  }
  return bytes;
}
