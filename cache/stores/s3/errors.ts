/** Maps the error responses of an S3-compatible cachestore to error codes. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, retryAfterMs } from '#cache/wire/s3/client.ts';

/** 404 is `chunk_missing` unless the bucket is missing; anything else means that the store cannot be used now. */
export function errorFor({ status, headers, body }: RawResponse, key: string): OrcaError {
  const { code, message } = faultOf(body);
  const waitMs = retryAfterMs(headers);
  const options = {
    status,
    ...(code !== '' && { cause: new Error(`${code}: ${message}`) }),
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  };
  if (status === 404 && code !== 'NoSuchBucket')
    return new OrcaError('chunk_missing', `the store has no ${key}`, options);
  return new OrcaError('store_unavailable', `the store answers ${status} ${code} for ${key}`, options);
}
