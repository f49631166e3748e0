/** Lists of keys: one key a line, or JSON lines such as `{"key": "a/b"}`. Blank lines are skipped. */
import { OrcaError } from '#cache/core/errors.ts';

/** A key has 1024 bytes at most, and JSON may escape each of them. */
export const MAX_LINE_BYTES = 16 * 1024;

const NEWLINE = 0x0a;
const DECODER = new TextDecoder();

export interface KeyLine {
  readonly key: string;
  /** The position after the line, from the start of the bytes. */
  readonly end: number;
}

export interface KeyLines {
  readonly lines: readonly KeyLine[];
  /** The position after the last line that was read, blank ones included. */
  readonly end: number;
}

/**
 * At most `maxLines` keys from the beginning of `bytes`. `isLast`: no more bytes follow, so that the last line needs no line
 * break. Throws `invalid_argument` for a line that is too long.
 */
export function readKeyLines(bytes: Uint8Array, isLast: boolean, maxLines: number): KeyLines {
  const lines: KeyLine[] = [];
  let end = 0;
  while (lines.length < maxLines && end < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, end);
    const to = newline === -1 ? bytes.length : newline;
    if (to - end > MAX_LINE_BYTES)
      throw new OrcaError('invalid_argument', `a line of the list of keys is longer than ${MAX_LINE_BYTES} bytes`);
    if (newline === -1 && !isLast) break;
    const key = keyOf(DECODER.decode(bytes.subarray(end, to)));
    end = newline === -1 ? to : newline + 1;
    if (key !== '') lines.push({ key, end });
  }
  return { lines, end };
}

/** Spaces belong to a key; a carriage return of other systems does not. */
function keyOf(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  const trimmed = text.trim();
  if (trimmed === '') return '';
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return text;
  try {
    const value: unknown = JSON.parse(trimmed);
    if (typeof value === 'object' && value !== null && 'key' in value && typeof value.key === 'string')
      return value.key;
  } catch (error) {
    // A key that looks like JSON.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return text;
}
