/**
 * AWS Signature Version 4 in request headers, with S3's rules: the path is percent-encoded once and never normalized.
 * Pure: time and credentials are parameters.
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { OrcaError } from '#cache/core/errors.ts';
import { encodePath } from '#cache/core/percent.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SigningInput {
  readonly method: string;
  /** As sent: encoded by `encodeKey`, without the query. */
  readonly path: string;
  /** As sent: names and values percent-encoded. */
  readonly query?: readonly (readonly [string, string])[] | undefined;
  /** As sent. All are signed except those that proxies may change. Must contain `host`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: Credentials;
  readonly nowMs: number;
  /** Hex SHA-256 of the payload. Default UNSIGNED-PAYLOAD: uploads carry a CRC-32, and downloads have no payload. */
  readonly payloadHash?: string | undefined;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** Hop-by-hop headers, and those that the transport sets after signing. */
const NOT_SIGNED = new Set(['connection', 'accept-encoding', 'content-length', 'expect', 'user-agent', 'x-request-id']);

export interface Signer {
  /**
   * Returns the headers of the input with x-amz-date, x-amz-content-sha256, x-amz-security-token and authorization
   * added.
   */
  sign(input: SigningInput): Record<string, string>;
}

export function createSigner(region: string, service = 's3'): Signer {
  /** Several requests a second share the formatted date. */
  let lastSecond = { at: Number.NaN, date: '' };
  const amzDate = (nowMs: number): string => {
    const at = Math.floor(nowMs / 1000);
    if (lastSecond.at !== at) lastSecond = { at, date: new Date(at * 1000).toISOString().replace(/[-:]|\.\d{3}/g, '') };
    return lastSecond.date;
  };
  /** The signing key takes four HMACs and changes once a day, so the last one fits almost every request. */
  let cached: { readonly day: string; readonly secret: string; readonly key: KeyObject } | undefined;
  const signingKey = (day: string, secret: string): KeyObject => {
    if (cached?.day === day && cached.secret === secret) return cached.key;
    const derived = [region, service, 'aws4_request'].reduce(hmac, hmac(Buffer.from(`AWS4${secret}`), day));
    // As a key object it is prepared once, not for each signature.
    const key = createSecretKey(derived);
    cached = { day, secret, key };
    return key;
  };
  return {
    sign({ method, path, query = [], headers, credentials, nowMs, payloadHash = UNSIGNED_PAYLOAD }) {
      const date = amzDate(nowMs);
      const day = date.slice(0, 8);
      const all: Record<string, string> = { ...headers, 'x-amz-content-sha256': payloadHash, 'x-amz-date': date };
      if (credentials.sessionToken !== undefined) all['x-amz-security-token'] = credentials.sessionToken;

      const signed: { readonly name: string; readonly line: string }[] = [];
      for (const sent in all) {
        const name = sent.toLowerCase();
        if (!NOT_SIGNED.has(name)) signed.push({ name, line: `${name}:${canonicalValue(all[sent] ?? '')}\n` });
      }
      signed.sort((a, b) => (a.name < b.name ? -1 : 1));
      let lines = '';
      let names = '';
      for (const { name, line } of signed) {
        lines += line;
        names += names === '' ? name : `;${name}`;
      }
      const canonical = `${method}\n${path}\n${canonicalQuery(query)}\n${lines}\n${names}\n${payloadHash}`;
      const scope = `${day}/${region}/${service}/aws4_request`;
      // Latin-1, as header values are sent.
      const digest = hash('sha256', Buffer.from(canonical, 'latin1'), 'hex');
      const signature = hmac(
        signingKey(day, credentials.secretAccessKey),
        `AWS4-HMAC-SHA256\n${date}\n${scope}\n${digest}`,
      ).toString('hex');
      all['authorization'] =
        `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
      return all;
    },
  };
}

/** A key or bucket as a request path: UTF-8, percent-encoded once except for unreserved characters and `/`. */
export function encodeKey(key: string): string {
  // A lone surrogate has no UTF-8 encoding: replacing it would request another key.
  if (!key.isWellFormed()) throw new OrcaError('bad_request', 'a key must be well-formed Unicode');
  return encodePath(key);
}

function canonicalValue(value: string): string {
  const text = value.trim();
  return text.includes('  ') ? text.replace(/ {2,}/g, ' ') : text;
}

function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  return query
    .map(([name, value]) => `${name}=${value}`)
    .toSorted()
    .join('&');
}

function hmac(key: Buffer | KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
