/**
 * The raw request target, taken apart without ever being normalised: `//`, `%2F`, `..`, spaces, parentheses, `+` and
 * non-ASCII in a key all survive, and each byte is percent-decoded exactly once.
 */
import { OrcaError } from './errors.ts';

/** S3's own limit for a key. */
export const MAX_KEY_BYTES = 1024;

export interface Target {
  /** Empty for the service itself. */
  readonly bucket: string;
  /** Empty for the bucket itself. */
  readonly key: string;
  /** The query as sent, decoded, in order; a name without `=` has the value ''. */
  readonly query: ReadonlyMap<string, string>;
}

/** `raw` is what stood in the request line: origin-form (`/bucket/key?query`) or absolute-form. */
export function parseTarget(raw: string): Target {
  const originForm = raw.startsWith('/') ? raw : stripAuthority(raw);
  const mark = originForm.indexOf('?');
  const path = mark < 0 ? originForm : originForm.slice(0, mark);
  const query = mark < 0 ? new Map<string, string>() : parseQuery(originForm.slice(mark + 1));
  const slash = path.indexOf('/', 1);
  const bucket = decode(slash < 0 ? path.slice(1) : path.slice(1, slash), 'bucket name');
  const key = slash < 0 ? '' : decode(path.slice(slash + 1), 'key');
  return { bucket, key, query };
}

export function keyIsTooLong(key: string): boolean {
  return Buffer.byteLength(key, 'utf8') > MAX_KEY_BYTES;
}

function stripAuthority(raw: string): string {
  const match = /^https?:\/\/[^/?]*(.*)$/i.exec(raw);
  if (match === null) throw new OrcaError('bad_request', 'the request target is neither a path nor an http URL');
  const rest = match[1] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function parseQuery(text: string): Map<string, string> {
  const query = new Map<string, string>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    // In a query, unlike in a path, `+` is a space: form encoding, as every SDK reads it.
    const part = (raw: string) => decode(raw.replaceAll('+', '%20'), 'query');
    query.set(part(equals < 0 ? pair : pair.slice(0, equals)), equals < 0 ? '' : part(pair.slice(equals + 1)));
  }
  return query;
}

function decode(raw: string, what: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    throw new OrcaError('bad_request', `the ${what} is not percent-encoded UTF-8`, { cause: error });
  }
}
