/** Maps the error responses of S3 to error codes. Pure. */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import { faultOf, retryAfterMs } from '#cache/wire/s3/client.ts';
import { regionError, type RegionError } from '#cache/wire/s3/region.ts';

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
/** Codes with status 400 or 403 that mean that the cache's own credentials are wrong. */
const REJECTED_CREDENTIALS = new Set([
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'AuthorizationHeaderMalformed',
  'RequestTimeTooSkewed',
]);
/** The code alone does not name the argument. */
const INVALID_VERSION = /\bversion[ -]?id\b/i;
/** The wait for an origin that throttles without a Retry-After. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** An error response, from our client or from the SDK. */
export interface S3ErrorResponse {
  readonly status: number;
  /** Empty without an error document. */
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  /** Set if the bucket is in another region. */
  readonly otherRegion: RegionError | undefined;
  /** The response's headers about the delete marker that it found in place of the object. */
  readonly deleteMarker?: Readonly<Record<string, string>>;
}

export function errorFor({ status, headers, body }: RawResponse, name: string): OrcaError {
  const fault = faultOf(body);
  const otherRegion = regionError(status, fault, headers);
  const isDeleted = headers['x-amz-delete-marker'] === 'true';
  const known = { status, ...fault, retryAfterMs: retryAfterMs(headers), otherRegion };
  return toOriginError(isDeleted ? { ...known, deleteMarker: markerHeaders(headers) } : known, name);
}

/** S3, MinIO and Ceph have no code of their own for it; Google Cloud Storage has one. */
function isEncrypted(status: number, code: string, message: string): boolean {
  if (code === 'ResourceIsEncryptedWithCustomerEncryptionKey') return true;
  return status === 400 && code === 'InvalidRequest' && /server.side encryption/i.test(message);
}

/** What S3 says about a delete marker, and clients look for. */
function markerHeaders(headers: ResponseHeaders): Record<string, string> {
  const kept = ['x-amz-delete-marker', 'x-amz-version-id', 'last-modified', 'allow'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name)));
}

export function toOriginError(response: S3ErrorResponse, name: string): OrcaError {
  const { status, code, message, retryAfterMs: waitMs, otherRegion, deleteMarker } = response;
  const make = (orca: ErrorCode, text: string, waitMs?: number, fields?: Record<string, string>): OrcaError =>
    new OrcaError(orca, text, {
      status,
      ...(fields !== undefined && { fields }),
      ...(code !== '' && { cause: new Error(`${code}: ${message}`) }),
      ...(waitMs !== undefined && { retryAfterMs: waitMs }),
      ...(deleteMarker !== undefined && { headers: deleteMarker }),
    });
  if (status === 429 || THROTTLED.has(code) || (status === 503 && waitMs !== undefined))
    return make('origin_throttled', `the origin throttles requests for ${name}`, waitMs ?? DEFAULT_RETRY_AFTER_MS);
  if (status === 405 && deleteMarker !== undefined)
    return make('delete_marker', `the requested version of ${name} is a delete marker`);
  if (code === 'NoSuchVersion') return make('version_not_found', `the origin has no such version of ${name}`);
  if (status === 400 && code === 'InvalidArgument' && INVALID_VERSION.test(message))
    return make('version_invalid', `the origin knows no such version ID of ${name}`);
  if (otherRegion !== undefined) {
    const { region } = otherRegion;
    const bucket = name.split('/', 1)[0] ?? '';
    return region === ''
      ? make('origin_wrong_region', `the origin has bucket ${bucket} in another region: correct origin.s3.region`)
      : make(
          'origin_wrong_region',
          `the origin has bucket ${bucket} in region ${region}: set origin.s3.region`,
          undefined,
          {
            Region: region,
          },
        );
  }
  if (code === 'NoSuchBucket') return make('bucket_not_found', `the origin has no bucket for ${name}`);
  if (status === 404 || code === 'KeyTooLongError') return make('not_found', `the origin has no ${name}`);
  if (status === 412 || status === 416) return make('object_changed', `${name} has changed at the origin`);
  if (status === 403 && code === 'AccessDenied') return make('access_denied', `the origin denies access to ${name}`);
  if (isEncrypted(status, code, message)) return make('object_encrypted', `${name} needs an encryption key (SSE-C)`);
  if (code === 'InvalidObjectState') return make('object_archived', `${name} is archived at the origin`);
  if (status === 401 || status === 403 || REJECTED_CREDENTIALS.has(code))
    return make('origin_denied', `the origin rejects the cache's credentials for ${name} (${status} ${code})`);
  if (status === 301 || status === 308)
    return make('origin_unsupported', `the origin redirects ${name} (${status}): correct origin.s3.endpoint`);
  if (status >= 500 || (status >= 300 && status < 400) || code === 'RequestTimeout')
    return make('origin_unavailable', `the origin answers ${status} ${code} for ${name}`);
  return make('origin_unsupported', `the origin answers ${status} ${code} for ${name}`);
}
