/**
 * The content of objects: a cheap function of version and offset, so that every byte of a body can be checked without
 * storing it. All versions are windows into one random sequence, the tape. Its length is prime: no chunk, block or segment
 * size divides it.
 */
import { crc32 } from 'node:zlib';
import { createCipheriv } from 'node:crypto';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { chunkIdentity, type Chunk } from '#cache/core/chunk.ts';

const PERIOD_BYTES = 1_048_583;
const ROUND = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(Buffer.alloc(PERIOD_BYTES));
/** The tape twice, so that most pieces are one copy. */
const TAPE = Buffer.concat([ROUND, ROUND]);

/** One version of an object. */
export interface Version {
  readonly key: string;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  /** The position of its first byte on the tape. */
  readonly shift: number;
  readonly bornMs: number;
  /** Infinity for the current version. */
  diedMs: number;
}

/** Writes the version's bytes from `offset` on into `target`. */
export function fillFrom(version: Version, offset: number, target: Uint8Array): void {
  for (const { tapeAt, at, length } of spans(version, offset, target.length))
    target.set(TAPE.subarray(tapeAt, tapeAt + length), at);
}

/** The first position at which `bytes` differ from the version at `offset`; undefined if they are equal. */
export function firstDifference(version: Version, offset: number, bytes: Uint8Array): number | undefined {
  for (const { tapeAt, at, length } of spans(version, offset, bytes.length)) {
    const wanted = TAPE.subarray(tapeAt, tapeAt + length);
    const got = bytes.subarray(at, at + length);
    if (wanted.equals(got)) continue;
    return offset + at + got.findIndex((byte, index) => byte !== wanted[index]);
  }
  return undefined;
}

export function crcOf(version: Version, from: number, to: number): number {
  let crc = 0;
  for (const { tapeAt, length } of spans(version, from, to - from))
    crc = crc32(TAPE.subarray(tapeAt, tapeAt + length), crc);
  return crc;
}

/** The problem with a chunk's metadata; undefined without one. */
export function wrongMetadata(version: Version, chunk: Chunk, metadata: ChunkMetadata): string | undefined {
  const { from, to } = chunk.range;
  if (metadata.lengthBytes !== to - from) return `length ${metadata.lengthBytes} instead of ${to - from}`;
  if (metadata.etag !== version.etag) return `ETag ${metadata.etag} instead of ${version.etag}`;
  if (metadata.identity !== chunkIdentity(chunk)) return `the identity of ${metadata.identity}`;
  if (metadata.crc32 !== crcOf(version, from, to)) return 'another CRC-32';
  const size = metadata.blockSizeBytes;
  const blocks = Math.ceil((to - from) / size);
  if (metadata.blockCrcs.length !== blocks) return `${metadata.blockCrcs.length} instead of ${blocks} blocks`;
  for (let block = 0; block < blocks; block++) {
    const start = from + block * size;
    if (metadata.blockCrcs[block] !== crcOf(version, start, Math.min(start + size, to))) return `block ${block}`;
  }
  return undefined;
}

function* spans(
  version: Version,
  offset: number,
  length: number,
): Generator<{ tapeAt: number; at: number; length: number }> {
  for (let at = 0; at < length;) {
    const tapeAt = (version.shift + offset + at) % PERIOD_BYTES;
    const span = Math.min(length - at, TAPE.length - tapeAt);
    yield { tapeAt, at, length: span };
    at += span;
  }
}
