/** Maps the error responses of an S3-compatible cachestore to error codes. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { faultOf, retryAfterMs } from '#cache/wire/s3/client.ts';
import { regionError } from '#cache/wire/s3/region.ts';

/** 404 is `chunk_missing` unless the bucket is missing; anything else means that the store cannot be used now. */
export function errorFor({ status, headers, body }: RawResponse, key: string): OrcaError {
  const fault = faultOf(body);
  const { code, message } = fault;
  const otherRegion = regionError(status, fault, headers);
  const waitMs = retryAfterMs(headers);
  const options = {
    status,
    ...(code !== '' && { cause: withCode(code, message) }),
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  };
  if (otherRegion !== undefined)
    return new OrcaError(
      'store_unavailable',
      `the cachestore's bucket is in another region: set cacheStore.s3.region to ${otherRegion.region === '' ? 'it' : otherRegion.region}`,
      options,
    );
  if (status === 404 && code !== 'NoSuchBucket')
    return new OrcaError('chunk_missing', `the store has no ${key}`, options);
  return new OrcaError('store_unavailable', `the store answers ${status} ${code} for ${key}`, options);
}

/** The fault of a response, with its code as the engine looks for it. */
export function withCode(code: string, message: string): Error {
  // Garage has no code of its own for it.
  const isQuota = code === 'AccessDenied' && /quota is reached/i.test(message);
  return Object.assign(new Error(`${code}: ${message}`), { code: isQuota ? 'QuotaExceeded' : code });
}
