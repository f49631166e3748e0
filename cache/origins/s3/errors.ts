/** What an S3 origin refuses, and what never came to an answer, as the engine's words. Pure. */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, retryAfterMs } from '#cache/wire/s3/client.ts';

const THROTTLED = new Set([
  'SlowDown',
  'SlowDownRead',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'BandwidthLimitExceeded',
]);
/** What S3 says with 400 or 403 when it is our credentials that are wrong. */
const REFUSED = new Set([
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'AuthorizationHeaderMalformed',
  'RequestTimeTooSkewed',
]);
/** A client that was told to slow down without a time waits so long. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** What S3 has said, however it was asked. */
export interface S3Refusal {
  readonly status: number;
  /** Empty where there was no error document. */
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  /** Where the bucket is, if it is elsewhere. */
  readonly region: string | undefined;
}

export function errorFor({ status, headers, body }: RawResponse, name: string): OrcaError {
  const region = headers['x-amz-bucket-region'];
  return refusal({ status, ...faultOf(body), retryAfterMs: retryAfterMs(headers), region }, name);
}

/** A refusal of S3 as the engine's word. */
export function refusal({ status, code, message, retryAfterMs: waitMs, region }: S3Refusal, name: string): OrcaError {
  const make = (orca: ErrorCode, text: string, waitMs?: number): OrcaError =>
    new OrcaError(orca, text, {
      status,
      ...(code !== '' && { cause: new Error(`${code}: ${message}`) }),
      ...(waitMs !== undefined && { retryAfterMs: waitMs }),
    });
  if (status === 429 || THROTTLED.has(code) || (status === 503 && waitMs !== undefined))
    return make('origin_throttled', `the origin throttles ${name}`, waitMs ?? DEFAULT_RETRY_AFTER_MS);
  if (code === 'NoSuchBucket') return make('bucket_not_found', `the origin has no bucket for ${name}`);
  if (status === 404 || code === 'KeyTooLongError') return make('not_found', `the origin has no ${name}`);
  if (status === 412 || status === 416) return make('object_changed', `${name} has changed at the origin`);
  if (status === 403 && code === 'AccessDenied') return make('access_denied', `the origin does not show ${name}`);
  if (code === 'InvalidObjectState') return make('object_archived', `${name} is archived at the origin`);
  if (status === 401 || status === 403 || REFUSED.has(code))
    return make('origin_denied', `the origin refuses our credentials for ${name} (${status} ${code})`);
  if (status === 301 || status === 308)
    return make(
      'origin_unsupported',
      `the bucket of ${name} lives elsewhere${region === undefined ? '' : `: in ${region}`}`,
    );
  if (status >= 500 || (status >= 300 && status < 400) || code === 'RequestTimeout')
    return make('origin_unavailable', `the origin answers ${status} ${code} for ${name}`);
  return make('origin_unsupported', `the origin answers ${status} ${code} for ${name}`);
}
