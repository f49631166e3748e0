/**
 * What a signed request claims: access key, scope, date and signature of AWS Signature Version 4, parsed from the
 * `Authorization` header or from the query of a presigned URL. Malformed claims are rejected with S3's own messages.
 */
import { createHash } from 'node:crypto';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { queryPairs } from './request-target.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
/** S3's own limits. */
export const MAX_SKEW_MS = 15 * 60_000;
const MAX_EXPIRES_S = 7 * 24 * 3600;
const UNSIGNED = 'UNSIGNED-PAYLOAD';
const EMPTY_HASH = createHash('sha256').digest('hex');
const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** A request as received. */
export interface SignedRequest {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Lower-case names; values of repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly hasBody: boolean;
}

/** The place of the signature in a request; undefined = not signed. */
export function signatureOf({
  headers,
  rawQuery,
}: {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly rawQuery: string;
}): 'header' | 'query' | undefined {
  if (headers['authorization'] !== undefined) return 'header';
  if (rawQuery === '') return undefined;
  return /(?:^|&)X-Amz-(?:Algorithm|Signature|Credential)=/i.test(rawQuery) ? 'query' : undefined;
}

export interface Claim {
  readonly kind: 'header' | 'query';
  readonly accessKeyId: string;
  /** Day, region, service and `aws4_request`. */
  readonly scope: readonly string[];
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** The date as sent. */
  readonly date: string;
  readonly dateMs: number;
  /** How long a presigned URL is valid, from its date on. */
  readonly expiresS: number | undefined;
  readonly payloadHash: string;
  readonly sessionToken: string | undefined;
}

export function claimInHeaders({ headers, hasBody }: SignedRequest): Claim {
  const authorization = headers['authorization'] ?? '';
  // No adjacent repetitions: a header of many colons would cause catastrophic backtracking.
  if (/^AWS [^ :]+:[^ :]+$/.test(authorization))
    throw signatureError(
      'auth_unsupported',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  const malformed = (message: string) => signatureError('auth_malformed', message);
  if (!authorization.startsWith(`${ALGORITHM} `))
    throw signatureError('invalid_argument', 'Unsupported Authorization Type', { ArgumentName: 'Authorization' });
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
  const date = headers['x-amz-date'] ?? isoBasicDate(headers['date']);
  if (date === undefined)
    throw signatureError('forbidden', 'AWS authentication requires a valid Date or x-amz-date header');
  const payloadHash = headers['x-amz-content-sha256'];
  checkPayloadHash(payloadHash, hasBody);
  return {
    kind: 'header',
    accessKeyId,
    scope,
    signedHeaders: of('SignedHeaders').split(';'),
    signature,
    ...parseDate(date, scope, malformed),
    expiresS: undefined,
    payloadHash: payloadHash ?? UNSIGNED,
    sessionToken: headers['x-amz-security-token'],
  };
}

export function claimInQuery({ rawQuery }: SignedRequest, nowMs: number): Claim {
  const fields = new Map(queryPairs(rawQuery));
  const malformed = (message: string) => signatureError('auth_query_malformed', message);
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
  const at = parseDate(of('X-Amz-Date'), scope, malformed);
  if (nowMs < at.dateMs - MAX_SKEW_MS) throw signatureError('forbidden', 'Request is not yet valid');
  if (nowMs > at.dateMs + expiresS * 1000)
    throw signatureError('forbidden', 'Request has expired', {
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
  // Access keys may contain slashes; the scope is the last four segments.
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

/** Parses the date of the signature and compares it with the day of the scope. */
function parseDate(
  date: string,
  [day]: readonly string[],
  malformed: (message: string) => OrcaError,
): { date: string; dateMs: number } {
  const match = DATE.exec(date);
  const [, year, month, dayOfMonth, hour, minute, second] = (match ?? []).map(Number);
  if (match === null)
    throw signatureError(
      'forbidden',
      'AWS authentication requires a valid Date or x-amz-date header: YYYYMMDDTHHMMSSZ',
    );
  if (!date.startsWith(day ?? ' '))
    throw malformed(
      `Invalid credential date "${day}". This date is not the same as X-Amz-Date: "${date.slice(0, 8)}".`,
    );
  return { date, dateMs: Date.UTC(year ?? 0, (month ?? 1) - 1, dayOfMonth, hour, minute, second) };
}

/** An HTTP date in the ISO 8601 basic format; undefined if it is missing or malformed. */
function isoBasicDate(text: string | undefined): string | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}

function checkPayloadHash(hash: string | undefined, hasBody: boolean): void {
  if (hash === undefined)
    throw signatureError('bad_request', 'Missing required header for this request: x-amz-content-sha256');
  if (hash === UNSIGNED || hash.startsWith('STREAMING-')) return;
  if (!/^[0-9a-f]{64}$/.test(hash))
    throw signatureError(
      'invalid_argument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.',
      { ArgumentName: 'x-amz-content-sha256', ArgumentValue: hash },
    );
  // The body of a read is discarded without hashing; without a body the hash must be that of empty content.
  if (!hasBody && hash !== EMPTY_HASH)
    throw signatureError(
      'auth_payload_mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
}

/** ISO 8601 with seconds, as in S3's error documents. */
export function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

export function signatureError(
  code: ErrorCode,
  message: string,
  fields: Readonly<Record<string, string>> = {},
): OrcaError {
  return new OrcaError(code, message, { fields });
}
