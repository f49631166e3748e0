/** Pinned versions of one shard, an object of the store for each pin: sorted 8-byte prefixes of the versions' hashes. */
import { OrcaError } from '#cache/core/errors.ts';
import { hexWord, shardName, SHARDS } from './chunk-key.ts';
import { isCount, isText } from './fields.ts';
import { frame, openFrame, seal } from './framing.ts';

/** 1 MiB: a pin of 33 million objects in 256 shards. */
export const MAX_PINNED_VERSIONS = 131_072;
/** All pins are listed with it. */
export const PINS_PREFIX = '_orca/pins/';

const MAGIC = 'OCP1';
const PREFIX_BYTES = 8;
const WORD_DIGITS = 8;
const PIN_NAME = /^(?!.*\.\.)[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;

export interface PinHeader {
  readonly name: string;
  /** Null = until it is removed. */
  readonly expiresMs: number | null;
  /** The size of all its chunks in this shard. */
  readonly bytes: number;
}

export class PinSet {
  readonly header: PinHeader;
  /** Pairs of words, sorted. */
  readonly #words: Uint32Array;

  private constructor(header: PinHeader, words: Uint32Array) {
    this.header = header;
    this.#words = words;
  }

  /** Throws `invalid_argument` for too many versions. */
  static of(header: PinHeader, versionHexes: Iterable<string>): PinSet {
    const prefixes = new Set<bigint>();
    for (const hex of versionHexes) prefixes.add((BigInt(wordAt(hex, 0)) << 32n) | BigInt(wordAt(hex, WORD_DIGITS)));
    if (prefixes.size > MAX_PINNED_VERSIONS)
      throw new OrcaError(
        'invalid_argument',
        `pin ${header.name} has ${prefixes.size} versions in one shard, and at most ${MAX_PINNED_VERSIONS} are possible: ` +
          'use several pins',
      );
    const sorted = BigUint64Array.from(prefixes).toSorted();
    const words = new Uint32Array(sorted.length * 2);
    sorted.forEach((prefix, at) => {
      words[at * 2] = Number(prefix >> 32n);
      words[at * 2 + 1] = Number(prefix & 0xffff_ffffn);
    });
    return new PinSet(header, words);
  }

  /** With further versions. Throws `invalid_argument` for too many. */
  with(header: PinHeader, versionHexes: Iterable<string>): PinSet {
    return PinSet.of(header, [...this.#prefixes(), ...versionHexes]);
  }

  get size(): number {
    return this.#words.length / 2;
  }

  /** `versionHex` has 64 hex digits, of which the first 16 count. */
  has(versionHex: string): boolean {
    const [high, low] = [wordAt(versionHex, 0), wordAt(versionHex, WORD_DIGITS)];
    let [from, to] = [0, this.size];
    while (from < to) {
      const middle = (from + to) >>> 1;
      const order = compare(this.#words, middle, high, low);
      if (order === 0) return true;
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return false;
  }

  /** As the beginning of hex digits, which is all that counts of a version. */
  *#prefixes(): Generator<string, void, void> {
    const digits = (word: number): string => word.toString(16).padStart(WORD_DIGITS, '0');
    for (let at = 0; at < this.#words.length; at += 2)
      yield digits(this.#words[at] ?? 0) + digits(this.#words[at + 1] ?? 0);
  }

  encode(): Uint8Array {
    const framed = frame(MAGIC, { ...this.header }, this.size * PREFIX_BYTES, true);
    this.#words.forEach((word, at) => framed.view.setUint32(framed.bodyAt + at * 4, word, true));
    return seal(framed);
  }

  /** Undefined for anything that `encode` does not return. The caller must not evict from a shard with such an object. */
  static decode(bytes: Uint8Array): PinSet | undefined {
    const opened = openFrame(MAGIC, bytes, true);
    if (opened === undefined) return undefined;
    const { header, view, bodyAt, bodyBytes } = opened;
    const { name, expiresMs, bytes: pinnedBytes } = header;
    if (!isPinName(name) || !isCount(pinnedBytes) || !(expiresMs === null || isCount(expiresMs))) return undefined;
    if (bodyBytes % PREFIX_BYTES !== 0 || bodyBytes > MAX_PINNED_VERSIONS * PREFIX_BYTES) return undefined;
    const words = new Uint32Array(bodyBytes / 4);
    for (let at = 0; at < words.length; at++) words[at] = view.getUint32(bodyAt + at * 4, true);
    // A binary search in what is not sorted would miss pinned versions.
    for (let pair = 1; pair < words.length / 2; pair++)
      if (compare(words, pair - 1, words[pair * 2]!, words[pair * 2 + 1]!) >= 0) return undefined;
    return new PinSet({ name, expiresMs, bytes: pinnedBytes }, words);
  }
}

/** A name of a pin: lower-case letters, digits, hyphens and dots, at most 63 characters. */
export function isPinName(name: unknown): name is string {
  return isText(name, 63) && PIN_NAME.test(name);
}

/** `_orca/pins/<name>/<xx>`; throws `invalid_argument` for a name that is not possible. */
export function pinObjectName(name: string, shard: number): string {
  if (!isPinName(name))
    throw new OrcaError(
      'invalid_argument',
      'the name of a pin must have 1 to 63 lower-case letters, digits, hyphens or dots, and begin and end with a letter or digit',
    );
  return `${PINS_PREFIX}${name}/${shardName(shard)}`;
}

/** Undefined for a name that is not `_orca/pins/<name>/<xx>`. */
export function parsePinObjectName(objectName: string): { readonly name: string; readonly shard: number } | undefined {
  if (!objectName.startsWith(PINS_PREFIX)) return undefined;
  const [name, digits, ...more] = objectName.slice(PINS_PREFIX.length).split('/');
  if (!isPinName(name) || digits === undefined || more.length > 0) return undefined;
  const shard = Number.parseInt(digits, 16);
  return shard >= 0 && shard < SHARDS && shardName(shard) === digits ? { name, shard } : undefined;
}

function wordAt(versionHex: string, digit: number): number {
  return hexWord(versionHex, digit, WORD_DIGITS);
}

/** Negative if pair number `pair` comes before (high, low). */
function compare(words: Uint32Array, pair: number, high: number, low: number): number {
  return words[pair * 2]! - high || words[pair * 2 + 1]! - low;
}
