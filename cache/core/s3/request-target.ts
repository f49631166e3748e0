/**
 * The raw request target, taken apart without ever being normalised: `//`, `%2F`, `..`, spaces, parentheses, `+` and
 * non-ASCII in a key all survive, and each byte is percent-decoded exactly once.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** S3's own limit for a key. */
export const MAX_KEY_BYTES = 1024;

export interface Target {
  /** Empty for the service itself. */
  readonly bucket: string;
  /** Empty for the bucket itself. */
  readonly key: string;
  /** The query as sent, decoded, in order; a name without `=` has the value '', and of several the last counts. */
  readonly query: ReadonlyMap<string, string>;
  /** As on the wire, for signatures: path with its slash, query without its mark. */
  readonly rawPath: string;
  readonly rawQuery: string;
}

/**
 * `raw` is what stood in the request line: origin-form (`/bucket/key?query`) or absolute-form. `hostBucket` is the
 * bucket that the host name holds; then the whole path is the key.
 */
export function parseTarget(raw: string, hostBucket?: string): Target {
  const originForm = raw.startsWith('/') ? raw : stripAuthority(raw);
  const mark = originForm.indexOf('?');
  const path = mark < 0 ? originForm : originForm.slice(0, mark);
  const rawQuery = mark < 0 ? '' : originForm.slice(mark + 1);
  const query = new Map(queryPairs(rawQuery));
  const rest = { query, rawPath: path, rawQuery };
  if (hostBucket !== undefined) return { bucket: hostBucket, key: decode(path.slice(1), 'key'), ...rest };
  const slash = path.indexOf('/', 1);
  const bucket = decode(slash < 0 ? path.slice(1) : path.slice(1, slash), 'bucket name');
  const key = slash < 0 ? '' : decode(path.slice(slash + 1), 'key');
  return { bucket, key, ...rest };
}

/**
 * The bucket in a virtual-host style name: `host` is the Host header or an absolute target's authority. Undefined where
 * it is none of `domains`, or one of them itself.
 */
export function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  const name = host.replace(/:\d*$/, '').toLowerCase();
  // The longest domain wins: `s3.cache.example` before `cache.example`.
  const domain = domains.filter((domain) => name.endsWith(`.${domain}`)).toSorted((a, b) => b.length - a.length)[0];
  if (domain === undefined || domains.includes(name)) return undefined;
  return name.slice(0, -domain.length - 1);
}

/** The authority of an absolute-form target, which takes the place of Host (RFC 9112 §3.2.2). */
export function authorityOf(raw: string): string | undefined {
  return /^https?:\/\/([^/?]*)/i.exec(raw)?.[1];
}

export function keyIsTooLong(key: string): boolean {
  return Buffer.byteLength(key, 'utf8') > MAX_KEY_BYTES;
}

function stripAuthority(raw: string): string {
  const match = /^https?:\/\/[^/?]*(.*)$/i.exec(raw);
  if (match === null) throw new OrcaError('invalid_uri', 'the request target is neither a path nor an http URL');
  const rest = match[1] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Every pair of a raw query, decoded, in order. */
export function queryPairs(rawQuery: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    // In a query, unlike in a path, `+` is a space: form encoding, as every SDK reads it.
    const part = (raw: string) => decode(raw.replaceAll('+', '%20'), 'query');
    pairs.push([part(equals < 0 ? pair : pair.slice(0, equals)), equals < 0 ? '' : part(pair.slice(equals + 1))]);
  }
  return pairs;
}

function decode(raw: string, what: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    throw new OrcaError('invalid_uri', `the ${what} is not percent-encoded UTF-8`, { cause: error });
  }
}
