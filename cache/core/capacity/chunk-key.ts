/**
 * Shards and keys of chunks. Both are read off the chunk's path, `<originId>/<64 hex digits of the version>/<index>`, so
 * that neither a read nor a sweep hashes anything: the version's digits are a SHA-256 already.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** Enough to spread the work over many replicas; a million chunks are 4,000 a shard. */
export const SHARDS = 256;
/** The hex digits of a version in a path. */
export const VERSION_DIGITS = 64;

const SHARD_DIGITS = 2;
const WORD_DIGITS = 8;
/** 2^32 divided by the golden ratio: odd, so that multiplication by it maps indices to words one to one. */
const GOLDEN = 0x9e3779b1;
const ZERO = 48;
const NINE = 57;
const NO_DIGIT = 16;
/** The values of characters as hex digits: a look-up takes half the time of comparisons. */
const DIGITS = Uint8Array.from({ length: 256 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value === -1 ? NO_DIGIT : value;
});
export const MINUTE_MS = 60_000;
/** 15 digits are safe integers, whatever they are. */
const MAX_INDEX_DIGITS = 15;

/** The key of a chunk; mutable, so that a reader of many paths needs one object. */
export interface ChunkKey {
  /** 32 bits, the same for all chunks of a version. */
  high: number;
  /** 32 bits, different for all chunks of a version. */
  low: number;
  shard: number;
}

export function readKey(path: string, into: ChunkKey): void {
  const start = versionStart(path);
  into.shard = hexWord(path, start, SHARD_DIGITS);
  into.high = hexWord(path, start + SHARD_DIGITS, WORD_DIGITS);
  into.low = lowWord(path, start);
}

/** The shard of a chunk, or of the hex digits of a version alone: their first two. */
export function shardOf(path: string): number {
  return hexWord(path, versionStart(path), SHARD_DIGITS);
}

/** `high` of a chunk's key. */
export function keyHigh(path: string): number {
  return hexWord(path, versionStart(path) + SHARD_DIGITS, WORD_DIGITS);
}

/** `low` of a chunk's key. */
export function keyLow(path: string): number {
  return lowWord(path, versionStart(path));
}

export interface ChunkName {
  readonly versionHex: string;
  readonly index: number;
}

/** The parts of a stored chunk's name; undefined for a name that is not a chunk of this cache. */
export function parseChunkName(name: string, originId: string): ChunkName | undefined {
  const start = originId.length + 1;
  const slash = start + VERSION_DIGITS;
  const digits = name.length - slash - 1;
  if (digits < 1 || digits > MAX_INDEX_DIGITS || !name.startsWith(originId)) return undefined;
  if (name[originId.length] !== '/' || name[slash] !== '/') return undefined;
  for (let at = start; at < slash; at++) if (!isHexDigit(name.charCodeAt(at))) return undefined;
  let index = 0;
  for (let at = slash + 1; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code < ZERO || code > NINE) return undefined;
    index = index * 10 + code - ZERO;
  }
  // A second spelling of an index would be a second name of a chunk.
  if (digits > 1 && name.charCodeAt(slash + 1) === ZERO) return undefined;
  return { versionHex: name.slice(start, slash), index };
}

/** Two hex digits. */
export function shardName(shard: number): string {
  return shard.toString(16).padStart(SHARD_DIGITS, '0');
}

/** What the names of a shard's chunks begin with. */
export function shardPrefix(originId: string, shard: number): string {
  return `${originId}/${shardName(shard)}`;
}

/** What ranks the replicas for a shard. */
export function shardKey(originId: string, shard: number): string {
  return `_orca/shard/${originId}/${shardName(shard)}`;
}

/** What ranks the replicas for the accountant. */
export function accountantKey(originId: string): string {
  return `_orca/accountant/${originId}`;
}

export function ledgerName(originId: string, shard: number): string {
  return `_orca/ledger/${originId}/${shardName(shard)}`;
}

/** The object in which a cache publishes its usage for the other caches of the store. */
export function usageName(originId: string): string {
  return `_orca/usage/${originId}`;
}

/** Minutes since 1970. Never 0, which means "no record". */
export function minuteOf(ms: number): number {
  return Math.max(1, Math.floor(ms / MINUTE_MS));
}

/** The number that `digits` hex digits from `at` stand for. Throws `internal` for other characters. */
export function hexWord(text: string, at: number, digits: number): number {
  let word = 0;
  let all = 0;
  for (let end = at + digits; at < end; at++) {
    const digit = DIGITS[text.charCodeAt(at) & 0xff]!;
    word = (word << 4) | digit;
    all |= digit;
  }
  if (all >= NO_DIGIT) throw new OrcaError('internal', 'a chunk path without a version');
  return word >>> 0;
}

function lowWord(path: string, start: number): number {
  const word = hexWord(path, start + SHARD_DIGITS + WORD_DIGITS, WORD_DIGITS);
  let index = 0;
  for (let at = start + VERSION_DIGITS + 1; at < path.length; at++) index = index * 10 + path.charCodeAt(at) - ZERO;
  return (word ^ Math.imul(index, GOLDEN)) >>> 0;
}

function versionStart(path: string): number {
  return path.indexOf('/') + 1;
}

/** Lower case only: it is the one spelling of a name. */
function isHexDigit(code: number): boolean {
  return code <= 0xff && DIGITS[code]! < NO_DIGIT;
}
