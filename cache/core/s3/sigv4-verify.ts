/**
 * Verifies AWS Signature Version 4, in headers or in the query (presigned URLs), with S3's own error messages. The path is
 * decoded once and encoded once, never normalized. Any region is accepted.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ownValue } from '#cache/core/own-value.ts';
import { encodePath, encodeRfc3986 } from '#cache/core/percent.ts';
import { sameText, type EdgeKey, type KeyRing } from './key-ring.ts';
import { queryPairs } from './request-target.ts';
import {
  ALGORITHM,
  claimInHeaders,
  claimInQuery,
  isoSeconds,
  MAX_SKEW_MS,
  signatureError,
  signatureOf,
  type Claim,
  type SignedRequest,
} from './sigv4-claim.ts';

/** The key that signed the request. Throws `auth_*`, `forbidden`, `bad_request` or `invalid_argument`. */
export function verifySignature(request: SignedRequest, keys: KeyRing, nowMs: number): EdgeKey {
  const claim = signatureOf(request) === 'query' ? claimInQuery(request, nowMs) : claimInHeaders(request);
  const key = keys.byAccessKey(claim.accessKeyId);
  if (key?.secretAccessKey === undefined)
    throw signatureError('auth_unknown_key', 'unknown access key', { AWSAccessKeyId: claim.accessKeyId });
  if (!sameText(claim.sessionToken ?? '', key.sessionToken ?? ''))
    throw signatureError('auth_token', 'The provided token is malformed or otherwise invalid.');
  checkTime(claim, nowMs);
  checkSignedHeaders(request, claim);
  const canonical = canonicalRequest(request, claim);
  const toSign = [ALGORITHM, claim.date, claim.scope.join('/'), sha256(canonical)].join('\n');
  const signingKey = claim.scope.reduce(hmac, Buffer.from(`AWS4${key.secretAccessKey}`, 'utf8'));
  const expected = hmac(signingKey, toSign);
  const given = Buffer.from(claim.signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw signatureError('auth_mismatch', 'the signature does not match', {
      AWSAccessKeyId: claim.accessKeyId,
      StringToSign: toSign,
      SignatureProvided: claim.signature,
      CanonicalRequest: canonical,
    });
  return key;
}

function checkTime({ kind, dateMs }: Claim, nowMs: number): void {
  if (kind === 'query' || Math.abs(nowMs - dateMs) <= MAX_SKEW_MS) return;
  throw signatureError(
    'auth_skewed',
    'the date of the request differs by more than 15 minutes from the time of the server',
    {
      RequestTime: isoSeconds(dateMs),
      ServerTime: isoSeconds(nowMs),
      MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
    },
  );
}

function checkSignedHeaders({ headers }: SignedRequest, { kind, signedHeaders }: Claim): void {
  const required = Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
  // The payload hash may be added to a presigned URL by its user; reads have no body to verify.
  const missing = required.filter(
    (name) => !signedHeaders.includes(name) && !(kind === 'query' && name === 'x-amz-content-sha256'),
  );
  if (missing.length > 0)
    throw signatureError('forbidden', 'There were headers present in the request which were not signed', {
      HeadersNotSigned: missing.join(', '),
    });
}

function canonicalRequest(request: SignedRequest, claim: Claim): string {
  const query = queryPairs(request.rawQuery)
    .filter(([name]) => claim.kind === 'header' || name !== 'X-Amz-Signature')
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .toSorted(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`);
  const headers = claim.signedHeaders.map(
    (name) => `${name}:${(ownValue(request.headers, name) ?? '').trim().replaceAll(/ {2,}/g, ' ')}`,
  );
  return [
    request.method,
    encodePath(decodeURIComponent(request.rawPath)),
    query.join('&'),
    ...headers,
    '',
    claim.signedHeaders.join(';'),
    claim.payloadHash,
  ].join('\n');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Header values are Latin-1, so that each byte is hashed as it was received. */
function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
