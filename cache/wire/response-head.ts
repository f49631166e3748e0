/**
 * The head of an HTTP/1.1 answer, parsed strictly: what is not exactly as RFC 9112 wants it is an error. Pure.
 */
import { WireError } from '#cache/wire/errors.ts';

export type ResponseHeaders = Readonly<Record<string, string>>;

export interface ResponseHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Whether the connection may carry another request after this answer. */
  readonly keepAlive: boolean;
}

/** How the body's end is found. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly lengthBytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** A token, a colon right behind it, a value without control characters. */
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;
/** Fields that say where the body ends or what it is: one that stands there twice is an attack or a bug. */
const SINGLE = new Set(['content-length', 'transfer-encoding', 'content-range', 'etag', 'content-encoding']);

/** `text` is the head as Latin-1 without the empty line at its end. */
export function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n');
  const statusLine = STATUS_LINE.exec(lines[0] ?? '');
  if (statusLine === null) throw new WireError('protocol', 'the answer has no HTTP/1 status line');
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let index = 1; index < lines.length; index++) {
    const field = FIELD.exec(lines[index] ?? '');
    if (field === null) throw new WireError('protocol', `header line ${index} of the answer is malformed`);
    const name = (field[1] ?? '').toLowerCase();
    const value = (field[2] ?? '').replace(/[\t ]+$/, '');
    const before = headers[name];
    if (before !== undefined && SINGLE.has(name)) throw new WireError('protocol', `the answer repeats ${name}`);
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  const connection = (headers['connection'] ?? '').toLowerCase();
  const tokens = connection.split(',').map((token) => token.trim());
  const keepAlive = statusLine[1] === '1' ? !tokens.includes('close') : tokens.includes('keep-alive');
  return { status: Number(statusLine[2]), headers, keepAlive };
}

export function framingOf(method: string, { status, headers }: ResponseHead): Framing {
  const length = headers['content-length'];
  const coding = headers['transfer-encoding'];
  if (length !== undefined && coding !== undefined)
    throw new WireError('protocol', 'the answer has both Content-Length and Transfer-Encoding');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' };
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked')
      throw new WireError('protocol', 'the answer has an unknown transfer coding');
    return { kind: 'chunked' };
  }
  if (length === undefined) return { kind: 'until-close' };
  const lengthBytes = parseLength(length);
  return lengthBytes === 0 ? { kind: 'none' } : { kind: 'length', lengthBytes };
}

/** A Content-Length as a number; anything but plain digits in the safe range is an error. */
export function parseLength(text: string): number {
  const lengthBytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(lengthBytes)) throw new WireError('protocol', 'the answer has a malformed Content-Length');
  return lengthBytes;
}
