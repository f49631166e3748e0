/** Parses the head of an HTTP/1.1 response strictly: any deviation from RFC 9112 is an error. Pure. */
import { WireError } from './errors.ts';

export type ResponseHeaders = Readonly<Record<string, string>>;

export interface ResponseHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Whether the connection may carry another request after this response. */
  readonly keepAlive: boolean;
}

/** How the end of the body is determined. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly lengthBytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No control characters, and so no bare CR or LF. */
const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Fields that determine where the body ends or what it is: a repeated one is an attack or a bug. */
const SINGLE = new Set(['content-length', 'transfer-encoding', 'content-range', 'etag', 'content-encoding']);

/** `text` is the head as Latin-1, without the empty line at its end. */
export function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n');
  const statusLine = STATUS_LINE.exec(lines[0] ?? '');
  if (statusLine === null) throw new WireError('protocol', 'the response has no HTTP/1 status line');
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');
    const name = fieldName(line.slice(0, Math.max(colon, 0)));
    if (name === undefined || !TEXT.test(line))
      throw new WireError('protocol', `header line ${index} of the response is malformed`);
    const value = trimmed(line, colon + 1);
    const before = headers[name];
    if (before !== undefined && SINGLE.has(name)) throw new WireError('protocol', `the response repeats ${name}`);
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  const keepAlive = statusLine[1] === '1' ? !connectionHas(headers, 'close') : connectionHas(headers, 'keep-alive');
  return { status: Number(statusLine[2]), headers, keepAlive };
}

/** Lower-case names by the spelling servers use: every response repeats the same few. */
const knownNames = new Map<string, string>();
/** A server that invents names is still parsed, only without this memory. */
const MAX_KNOWN_NAMES = 1_000;

/** In lower case; undefined if it is not a token. */
function fieldName(text: string): string | undefined {
  const known = knownNames.get(text);
  if (known !== undefined) return known;
  if (!TOKEN.test(text)) return undefined;
  const name = text.toLowerCase();
  if (knownNames.size < MAX_KNOWN_NAMES) knownNames.set(text, name);
  return name;
}

/** The text from `from` on, without surrounding spaces and tabs: other whitespace belongs to the value. */
function trimmed(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function connectionHas(headers: ResponseHeaders, token: string): boolean {
  const field = headers['connection'];
  return field !== undefined && field.split(',').some((part) => part.trim().toLowerCase() === token);
}

export function framingOf(method: string, { status, headers }: ResponseHead): Framing {
  const length = headers['content-length'];
  const coding = headers['transfer-encoding'];
  if (length !== undefined && coding !== undefined)
    throw new WireError('protocol', 'the response has both Content-Length and Transfer-Encoding');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' };
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked')
      throw new WireError('protocol', 'the response has an unknown transfer coding');
    return { kind: 'chunked' };
  }
  if (length === undefined) return { kind: 'until-close' };
  const lengthBytes = parseLength(length);
  return lengthBytes === 0 ? { kind: 'none' } : { kind: 'length', lengthBytes };
}

/** A Content-Length as a number; anything other than plain digits within the safe integer range is an error. */
export function parseLength(text: string): number {
  const lengthBytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(lengthBytes))
    throw new WireError('protocol', 'the response has a malformed Content-Length');
  return lengthBytes;
}

/**
 * How long the server keeps an idle connection by its Keep-Alive header, less a second for the network; Infinity
 * without one.
 */
export function idleHintMs({ headers }: ResponseHead): number {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/.exec(headers['keep-alive'] ?? '')?.[1];
  return seconds === undefined ? Infinity : Number(seconds) * 1000 - 1000;
}
