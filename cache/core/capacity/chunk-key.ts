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
const LOWER_A = 97;
const LOWER_F = 102;
const MINUTE_MS = 60_000;
/** 15 digits are safe integers, whatever they are. */
const MAX_INDEX_DIGITS = 15;

/** The shard of a chunk, or of the hex digits of a version alone: their first two. */
export function shardOf(path: string): number {
  return hexWord(path, versionStart(path), SHARD_DIGITS);
}

/** The upper 32 bits of a chunk's key: the same for all chunks of a version. */
export function keyHigh(path: string): number {
  return hexWord(path, versionStart(path) + SHARD_DIGITS, WORD_DIGITS);
}

/** The lower 32 bits of a chunk's key: different for all chunks of a version. */
export function keyLow(path: string): number {
  const start = versionStart(path);
  const word = hexWord(path, start + SHARD_DIGITS + WORD_DIGITS, WORD_DIGITS);
  let index = 0;
  for (let at = start + VERSION_DIGITS + 1; at < path.length; at++) index = index * 10 + path.charCodeAt(at) - ZERO;
  return (word ^ Math.imul(index, GOLDEN)) >>> 0;
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
  for (let end = at + digits; at < end; at++) {
    const code = text.charCodeAt(at);
    if (!isHexDigit(code)) throw new OrcaError('internal', 'a chunk path without a version');
    word = (word << 4) | (code <= NINE ? code - ZERO : code - LOWER_A + 10);
  }
  return word >>> 0;
}

function versionStart(path: string): number {
  return path.indexOf('/') + 1;
}

/** Lower case only: it is the one spelling of a name. */
function isHexDigit(code: number): boolean {
  return (code >= ZERO && code <= NINE) || (code >= LOWER_A && code <= LOWER_F);
}
