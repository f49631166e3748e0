/**
 * The content of synthetic objects: ETag and offset determine each byte. Gigabytes need no disk, and a reader of a range
 * can verify it without the rest of the object. It imports no other module, because it is copied into an image.
 */
import { createCipheriv, createHash } from 'node:crypto';

/**
 * A prime slightly above 1 MiB: content shifted by any chunk, part or block size differs. With a period that divides
 * these sizes, it would be equal.
 */
const PERIOD_BYTES = 1_048_583;

/** Two periods, so that a whole period follows each offset. */
const PATTERN = ((): Buffer => {
  // The key stream of a cipher: looks random, and is the same on every machine.
  const period = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(PERIOD_BYTES));
  return Buffer.concat([period, period]);
})();

/** `generation` is the number of changes of the object. */
export function etagOf(bucket: string, key: string, generation = 0): string {
  return createHash('sha256').update(`${bucket}/${key}#${generation}`).digest('hex').slice(0, 32);
}

/** The size of the object that a key names; keys that do not end with `-<bytes>` name no object. */
export function sizeOf(key: string): number | undefined {
  const digits = /-(\d{1,15})$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Bytes of the version from `offset` on: `maxBytes`, but at most one period of 1 MiB. Shared memory: do not modify it. */
export function bytesAt(etag: string, offset: number, maxBytes: number): Buffer {
  const from = (shiftOf(etag) + offset) % PERIOD_BYTES;
  return PATTERN.subarray(from, from + Math.min(maxBytes, PERIOD_BYTES));
}

/** Whether `bytes` equal the version's bytes at `offset`. */
export function isAt(etag: string, offset: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += PERIOD_BYTES) {
    const piece = bytes.subarray(at, at + PERIOD_BYTES);
    if (Buffer.compare(piece, bytesAt(etag, offset + at, piece.length)) !== 0) return false;
  }
  return true;
}

/** The offset of a version in the pattern; two versions are equal with a probability of one in a million. */
function shiftOf(etag: string): number {
  const shift = Number.parseInt(etag.slice(0, 12), 16) % PERIOD_BYTES;
  if (Number.isNaN(shift)) throw new RangeError(`not an ETag of a synthetic object: ${etag}`);
  return shift;
}
