/**
 * Resolves the Range header as S3 does, which is more lenient than RFC 9110: malformed and multiple ranges are ignored
 * (200), and only a range that starts after the end of the object is rejected (416).
 */
import type { ByteRange } from './object.ts';

export type RangeResult =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeResult = { kind: 'whole' };
const UNSATISFIABLE: RangeResult = { kind: 'unsatisfiable' };
const SINGLE = /^bytes=(\d*)-(\d*)$/;

export function resolveRange(header: string | undefined, sizeBytes: number): RangeResult {
  const match = header === undefined ? null : SINGLE.exec(header);
  if (match === null) return WHOLE;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? WHOLE : resolveSuffix(Number(last), sizeBytes);
  const from = Number(first);
  // Numbers above 2^53 lose precision, but still exceed the size of any object, so the result is the same.
  if (last !== '' && Number(last) < from) return WHOLE;
  if (from >= sizeBytes) return UNSATISFIABLE;
  const to = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return { kind: 'part', range: { from, to } };
}

function resolveSuffix(lengthBytes: number, sizeBytes: number): RangeResult {
  if (lengthBytes === 0) return UNSATISFIABLE;
  // Any suffix of an empty object is the whole object.
  if (sizeBytes === 0) return WHOLE;
  return { kind: 'part', range: { from: Math.max(sizeBytes - lengthBytes, 0), to: sizeBytes } };
}

/** The value of Content-Range, such as `bytes 0-99/1000`; its end is inclusive. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.from}-${range.to - 1}/${sizeBytes}`;
}
