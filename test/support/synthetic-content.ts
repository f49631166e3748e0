/**
 * Synthetic objects: their bytes are derived from their names, so that a test can have gigabytes of them. All are windows
 * into one pattern, whose length is not a multiple of any chunk, block or segment size, so shifted or foreign bytes differ.
 */
import { createHash } from 'node:crypto';
import { patternBytes } from './engines.ts';

const PERIOD_BYTES = 1024 * 1024 + 7;
/** The pattern twice, so that every view of up to one period is contiguous. */
const PATTERN = Buffer.concat([patternBytes(PERIOD_BYTES, 7), patternBytes(PERIOD_BYTES, 7)]);

export interface SyntheticObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
}

/** The object of a key such as `<size in bytes>-<any text>`; undefined for a key of another form. */
export function syntheticObject(key: string): SyntheticObject | undefined {
  const size = /^(\d{1,12})-/.exec(key)?.[1];
  if (size === undefined) return undefined;
  return { key, sizeBytes: Number(size), etag: createHash('md5').update(key).digest('hex') };
}

/** `[from, to)` of an object, as views that must not be written to. */
export function* syntheticBytes(key: string, from: number, to: number): Generator<Uint8Array> {
  const phase = createHash('sha256').update(key).digest().readUInt32BE(0);
  for (let at = from; at < to;) {
    const start = (phase + at) % PERIOD_BYTES;
    const length = Math.min(PERIOD_BYTES, to - at);
    yield PATTERN.subarray(start, start + length);
    at += length;
  }
}

/** Whether `bytes` are equal to the object at `offset`. */
export function isSynthetic(key: string, offset: number, bytes: Uint8Array): boolean {
  let at = 0;
  for (const view of syntheticBytes(key, offset, offset + bytes.length)) {
    if (Buffer.compare(view, bytes.subarray(at, at + view.length)) !== 0) return false;
    at += view.length;
  }
  return true;
}
