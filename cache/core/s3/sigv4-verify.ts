/**
 * Whether a request was signed by one of our keys: AWS Signature Version 4, in headers or in the query (presigned), with
 * S3's own answers to what is wrong. The path is decoded once and encoded once, never normalised. Any region is taken.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { sameText, type EdgeKey, type KeyRing } from './key-ring.ts';
import { encodePath, encodeRfc3986 } from '#cache/core/percent.ts';
import { queryPairs } from './request-target.ts';

/** S3's own. */
const MAX_SKEW_MS = 15 * 60_000;
const MAX_EXPIRES_S = 7 * 24 * 3600;
const ALGORITHM = 'AWS4-HMAC-SHA256';
const UNSIGNED = 'UNSIGNED-PAYLOAD';
const EMPTY_HASH = createHash('sha256').digest('hex');
const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** A request as it stood on the wire. */
export interface SignedRequest {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Lower-case names; values of repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly hasBody: boolean;
}

/** Where a request carries its signature; undefined = nowhere. */
export function signatureOf(request: SignedRequest): 'header' | 'query' | undefined {
  if (request.headers['authorization'] !== undefined) return 'header';
  return /(?:^|&)X-Amz-(?:Algorithm|Signature|Credential)=/i.test(request.rawQuery) ? 'query' : undefined;
}

/** The key that signed. Throws auth_* or `forbidden`. */
export function verifySignature(request: SignedRequest, keys: KeyRing, nowMs: number): EdgeKey {
  const claim = signatureOf(request) === 'query' ? claimInQuery(request, nowMs) : claimInHeaders(request);
  const key = keys.byAccessKey(claim.accessKeyId);
  if (key?.secretAccessKey === undefined)
    throw fail('auth_unknown_key', 'an unknown access key', { AWSAccessKeyId: claim.accessKeyId });
  if (!sameText(claim.sessionToken ?? '', key.sessionToken ?? ''))
    throw fail('auth_token', 'The provided token is malformed or otherwise invalid.');
  checkTime(claim, nowMs);
  checkSignedHeaders(request, claim);
  const canonical = canonicalRequest(request, claim);
  const toSign = [ALGORITHM, claim.date, claim.scope.join('/'), sha256(canonical)].join('\n');
  const signingKey = claim.scope.reduce(hmac, Buffer.from(`AWS4${key.secretAccessKey}`, 'utf8'));
  const wanted = hmac(signingKey, toSign);
  const given = Buffer.from(claim.signature, 'hex');
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw fail('auth_mismatch', 'the signature does not match', {
      AWSAccessKeyId: claim.accessKeyId,
      StringToSign: toSign,
      SignatureProvided: claim.signature,
      CanonicalRequest: canonical,
    });
  return key;
}

interface Claim {
  readonly kind: 'header' | 'query';
  readonly accessKeyId: string;
  /** Day, region, service, `aws4_request`. */
  readonly scope: readonly string[];
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** As sent, and what it means. */
  readonly date: string;
  readonly dateMs: number;
  /** Of a presigned URL, counted from its date. */
  readonly expiresS: number | undefined;
  readonly payloadHash: string;
  readonly sessionToken: string | undefined;
}

function claimInHeaders({ headers, hasBody }: SignedRequest): Claim {
  const authorization = headers['authorization'] ?? '';
  // No repetitions side by side: who sends nothing but colons would keep the process busy.
  if (/^AWS [^ :]+:[^ :]+$/.test(authorization))
    throw fail(
      'auth_unsupported',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  const malformed = (message: string) => fail('auth_malformed', message);
  if (!authorization.startsWith(`${ALGORITHM} `))
    throw fail('invalid_argument', 'Unsupported Authorization Type', { ArgumentName: 'Authorization' });
  const fields = new Map(
    authorization
      .slice(ALGORITHM.length)
      .split(',')
      .map((field) => {
        const equals = field.indexOf('=');
        return [field.slice(0, Math.max(equals, 0)).trim(), field.slice(equals + 1).trim()] as const;
      }),
  );
  const of = (name: string): string => {
    const value = fields.get(name) ?? '';
    if (value === '') throw malformed(`The authorization header is malformed; the ${name} is missing.`);
    return value;
  };
  const { accessKeyId, scope } = parseCredential(of('Credential'), malformed);
  const signature = of('Signature');
  if (!/^[0-9a-f]{64}$/.test(signature))
    throw malformed('The authorization header is malformed; the Signature is not 64 hex digits.');
  const date = headers['x-amz-date'] ?? httpDate(headers['date']);
  if (date === undefined) throw fail('forbidden', 'AWS authentication requires a valid Date or x-amz-date header');
  const payloadHash = headers['x-amz-content-sha256'];
  checkPayloadHash(payloadHash, hasBody);
  return {
    kind: 'header',
    accessKeyId,
    scope,
    signedHeaders: of('SignedHeaders').split(';'),
    signature,
    ...dated(date, scope, malformed),
    expiresS: undefined,
    payloadHash: payloadHash ?? UNSIGNED,
    sessionToken: headers['x-amz-security-token'],
  };
}

function claimInQuery({ rawQuery }: SignedRequest, nowMs: number): Claim {
  const fields = new Map(queryPairs(rawQuery));
  const malformed = (message: string) => fail('auth_query_malformed', message);
  const of = (name: string): string => {
    const value = fields.get(name) ?? '';
    if (value === '')
      throw malformed(
        'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
      );
    return value;
  };
  if (of('X-Amz-Algorithm') !== ALGORITHM) throw malformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const { accessKeyId, scope } = parseCredential(of('X-Amz-Credential'), malformed);
  const signature = of('X-Amz-Signature');
  const expires = of('X-Amz-Expires');
  if (!/^-?\d{1,15}$/.test(expires)) throw malformed('X-Amz-Expires should be a number');
  const expiresS = Number(expires);
  if (expiresS < 0) throw malformed('X-Amz-Expires must be non-negative');
  if (expiresS === 0 || expiresS > MAX_EXPIRES_S)
    throw malformed(
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be from 1 to 604800 seconds',
    );
  const at = dated(of('X-Amz-Date'), scope, malformed);
  if (nowMs < at.dateMs - MAX_SKEW_MS) throw fail('forbidden', 'Request is not yet valid');
  if (nowMs > at.dateMs + expiresS * 1000)
    throw fail('forbidden', 'Request has expired', {
      'X-Amz-Expires': expires,
      Expires: isoSeconds(at.dateMs + expiresS * 1000),
      ServerTime: isoSeconds(nowMs),
    });
  return {
    kind: 'query',
    accessKeyId,
    scope,
    signedHeaders: of('X-Amz-SignedHeaders').split(';'),
    signature,
    ...at,
    expiresS,
    payloadHash: UNSIGNED,
    sessionToken: fields.get('X-Amz-Security-Token'),
  };
}

function parseCredential(
  credential: string,
  malformed: (message: string) => OrcaError,
): { accessKeyId: string; scope: readonly string[] } {
  // Access keys may hold slashes; the scope is the last four.
  const parts = credential.split('/');
  const scope = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (parts.length < 5 || accessKeyId === '')
    throw malformed(
      'Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  const [day = '', , service, terminator] = scope;
  if (!/^\d{8}$/.test(day)) throw malformed(`Invalid credential date "${day.slice(0, 20)}"; it must be YYYYMMDD.`);
  if (service !== 's3') throw malformed('Incorrect service; this endpoint belongs to "s3".');
  if (terminator !== 'aws4_request') throw malformed('Incorrect terminal; this endpoint uses "aws4_request".');
  return { accessKeyId, scope };
}

function dated(
  date: string,
  [day]: readonly string[],
  malformed: (message: string) => OrcaError,
): { date: string; dateMs: number } {
  const match = DATE.exec(date);
  const [, year, month, dayOfMonth, hour, minute, second] = (match ?? []).map(Number);
  if (match === null)
    throw fail('forbidden', 'AWS authentication requires a valid Date or x-amz-date header: YYYYMMDDTHHMMSSZ');
  if (!date.startsWith(day ?? ' '))
    throw malformed(
      `Invalid credential date "${day}". This date is not the same as X-Amz-Date: "${date.slice(0, 8)}".`,
    );
  return { date, dateMs: Date.UTC(year ?? 0, (month ?? 1) - 1, dayOfMonth, hour, minute, second) };
}

/** An HTTP date as ISO 8601 basic; undefined for none or nonsense. */
function httpDate(text: string | undefined): string | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}

function checkPayloadHash(hash: string | undefined, hasBody: boolean): void {
  if (hash === undefined) throw fail('bad_request', 'Missing required header for this request: x-amz-content-sha256');
  if (hash === UNSIGNED || hash.startsWith('STREAMING-')) return;
  if (!/^[0-9a-f]{64}$/.test(hash))
    throw fail(
      'invalid_argument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.',
      { ArgumentName: 'x-amz-content-sha256', ArgumentValue: hash },
    );
  // Bodies of reads are thrown away unread; where there is none, its hash is known.
  if (!hasBody && hash !== EMPTY_HASH)
    throw fail('auth_payload_mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.");
}

function checkTime({ kind, dateMs }: Claim, nowMs: number): void {
  if (kind === 'query' || Math.abs(nowMs - dateMs) <= MAX_SKEW_MS) return;
  throw fail('auth_skewed', 'the clocks differ', {
    RequestTime: isoSeconds(dateMs),
    ServerTime: isoSeconds(nowMs),
    MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
  });
}

function checkSignedHeaders({ headers }: SignedRequest, { kind, signedHeaders }: Claim): void {
  const needed = Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
  // A presigned URL leaves its user to say what the body is, which reads have none of.
  const missing = needed.filter(
    (name) => !signedHeaders.includes(name) && !(kind === 'query' && name === 'x-amz-content-sha256'),
  );
  if (missing.length > 0)
    throw fail('forbidden', 'There were headers present in the request which were not signed', {
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
    (name) => `${name}:${(request.headers[name] ?? '').trim().replaceAll(/ {2,}/g, ' ')}`,
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

function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Header values are Latin-1, byte for byte as they came. */
function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

function fail(code: ErrorCode, message: string, fields: Readonly<Record<string, string>> = {}): OrcaError {
  return new OrcaError(code, message, { fields });
}
