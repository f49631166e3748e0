/**
 * Parses the raw request target without normalizing it: `//`, `%2F`, `..`, spaces, parentheses, `+` and non-ASCII
 * characters in a key are preserved, and each byte is percent-decoded exactly once.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** S3's limit for the length of a key. */
export const MAX_KEY_BYTES = 1024;

const NO_QUERY: ReadonlyMap<string, string> = new Map();

export interface RequestTarget {
  /** Empty for a request to the service, such as ListBuckets. */
  readonly bucket: string;
  /** Empty for a request to the bucket. */
  readonly key: string;
  /** The decoded parameters, in order. A name without `=` has the value ''; the last of several equal names counts. */
  readonly query: ReadonlyMap<string, string>;
  /** As received, for signatures: the path with its leading slash, the query without its `?`. */
  readonly rawPath: string;
  readonly rawQuery: string;
}

/**
 * `raw` is the target of the request line: origin-form (`/bucket/key?query`) or absolute-form. `hostBucket` is the
 * bucket in the host name, with which the whole path is the key.
 */
export function parseRequestTarget(raw: string, hostBucket?: string): RequestTarget {
  const originForm = raw.startsWith('/') ? raw : stripAuthority(raw);
  const mark = originForm.indexOf('?');
  const path = mark < 0 ? originForm : originForm.slice(0, mark);
  const rawQuery = mark < 0 ? '' : originForm.slice(mark + 1);
  const query = rawQuery === '' ? NO_QUERY : new Map(queryPairs(rawQuery));
  const common = { query, rawPath: path, rawQuery };
  if (hostBucket !== undefined) return { bucket: hostBucket, key: decode(path.slice(1), 'key'), ...common };
  const slash = path.indexOf('/', 1);
  const bucket = decode(slash < 0 ? path.slice(1) : path.slice(1, slash), 'bucket name');
  const key = slash < 0 ? '' : decode(path.slice(slash + 1), 'key');
  return { bucket, key, ...common };
}

/**
 * The bucket of a virtual-hosted-style request. `host` is the Host header or the authority of an absolute-form target.
 * Undefined if it is not a subdomain of one of `domains`.
 */
export function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  if (domains.length === 0) return undefined;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  // The longest matching domain counts: `s3.cache.example` before `cache.example`.
  const domain = domains.filter((domain) => name.endsWith(`.${domain}`)).toSorted((a, b) => b.length - a.length)[0];
  if (domain === undefined || domains.includes(name)) return undefined;
  return name.slice(0, -domain.length - 1);
}

/** The authority of an absolute-form target, which replaces the Host header (RFC 9112 §3.2.2). */
export function authorityOf(raw: string): string | undefined {
  return raw.startsWith('/') ? undefined : /^https?:\/\/([^/?]*)/i.exec(raw)?.[1];
}

export function keyIsTooLong(key: string): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  return key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key, 'utf8') > MAX_KEY_BYTES;
}

function stripAuthority(raw: string): string {
  const match = /^https?:\/\/[^/?]*(.*)$/i.exec(raw);
  if (match === null) throw new OrcaError('invalid_uri', 'the request target must be a path or an http URL');
  const rest = match[1] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The decoded name-value pairs of a raw query, in order. */
export function queryPairs(rawQuery: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    // In a query, unlike in a path, `+` is a space (form encoding), as in every SDK.
    const part = (raw: string) => decode(raw.replaceAll('+', '%20'), 'query');
    pairs.push([part(equals < 0 ? pair : pair.slice(0, equals)), equals < 0 ? '' : part(pair.slice(equals + 1))]);
  }
  return pairs;
}

function decode(raw: string, what: string): string {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    throw new OrcaError('invalid_uri', `the ${what} must be percent-encoded UTF-8`, { cause: error });
  }
}
