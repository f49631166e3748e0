/**
 * The Range header as S3 answers it, which is laxer than RFC 9110 in its own way: what it can't read it ignores (200),
 * several ranges are ignored too, and only a range that starts behind the end is refused (416).
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
  // Digits past 2^53 lose precision, but stay far behind any object's end, which is all that is asked of them.
  if (last !== '' && Number(last) < from) return WHOLE;
  if (from >= sizeBytes) return UNSATISFIABLE;
  const to = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return { kind: 'part', range: { from, to } };
}

function resolveSuffix(lengthBytes: number, sizeBytes: number): RangeResult {
  if (lengthBytes === 0) return UNSATISFIABLE;
  // A suffix of an empty object is all of it.
  if (sizeBytes === 0) return WHOLE;
  return { kind: 'part', range: { from: Math.max(sizeBytes - lengthBytes, 0), to: sizeBytes } };
}

/** `bytes 0-99/1000` for the answer: inclusive, as HTTP has it. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.from}-${range.to - 1}/${sizeBytes}`;
}
