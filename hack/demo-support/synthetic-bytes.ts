/**
 * The bytes of objects that exist by their names alone: an ETag and an offset say each of them, so that gigabytes need
 * no disk, and whoever reads a range can compare it without having seen the rest. Stands alone, because it is copied into an image by
 * itself.
 */
import { createCipheriv, createHash } from 'node:crypto';

/**
 * A prime a little above 1 MiB: bytes that are off by any chunk, part or block size are other bytes, which a period that
 * divides those sizes would hide.
 */
const PERIOD_BYTES = 1_048_583;

/** Twice, so that a whole period follows each place. */
const PATTERN = ((): Buffer => {
  // A stream cipher's key stream: as good as random, and the same everywhere.
  const period = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(PERIOD_BYTES));
  return Buffer.concat([period, period]);
})();

/** `generation`: how often the object has changed. */
export function etagOf(bucket: string, key: string, generation = 0): string {
  return createHash('sha256').update(`${bucket}/${key}#${generation}`).digest('hex').slice(0, 32);
}

/** A key that ends with `-<bytes>` names an object of that size; no other key names one. */
export function sizeOf(key: string): number | undefined {
  const digits = /-(\d{1,15})$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Bytes of the version from `offset` on: as many as are asked for, or one period of 1 MiB. Shared: not to be written to. */
export function bytesAt(etag: string, offset: number, maxBytes: number): Buffer {
  const from = (shiftOf(etag) + offset) % PERIOD_BYTES;
  return PATTERN.subarray(from, from + Math.min(maxBytes, PERIOD_BYTES));
}

/** Whether `bytes` are what stands at `offset` of the version. */
export function isAt(etag: string, offset: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += PERIOD_BYTES) {
    const piece = bytes.subarray(at, at + PERIOD_BYTES);
    if (Buffer.compare(piece, bytesAt(etag, offset + at, piece.length)) !== 0) return false;
  }
  return true;
}

/** Where in the pattern a version begins: two versions have the same bytes once in a million. */
function shiftOf(etag: string): number {
  const shift = Number.parseInt(etag.slice(0, 12), 16) % PERIOD_BYTES;
  if (Number.isNaN(shift)) throw new RangeError(`not an ETag of a synthetic object: ${etag}`);
  return shift;
}
