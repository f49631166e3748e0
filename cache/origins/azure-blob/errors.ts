/** Maps the error responses of Azure Blob Storage to error codes. Pure. */
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { azureErrorCode } from '#cache/wire/azure/client.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { retryAfterMs } from '#cache/wire/s3/client.ts';

const NO_CONTAINER = new Set(['ContainerNotFound', 'ContainerBeingDeleted', 'ContainerDisabled']);
const ARCHIVED = new Set(['BlobArchived', 'BlobBeingRehydrated']);
/** A customer-provided key, as SSE-C in S3. */
const ENCRYPTED = 'BlobUsesCustomerSpecifiedEncryption';
/** Names that the service does not allow, so nothing can be stored under them. */
const INVALID_NAME = new Set(['InvalidResourceName', 'InvalidUri', 'OutOfRangeInput']);
/** 409 if the account does not allow the request without credentials. */
const REJECTED_CREDENTIALS = new Set([
  'PublicAccessNotPermitted',
  'AuthenticationFailed',
  'NoAuthenticationInformation',
]);
const CONTAINER_NAME = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** The wait for an origin that throttles without a Retry-After. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

export function errorFor(response: RawResponse, bucket: string, key: string): OrcaError {
  const { status, headers } = response;
  const name = `${bucket}/${key}`;
  const code = azureErrorCode(response);
  const waitMs = retryAfterMs(headers);
  const make = (orca: ErrorCode, text: string, retryAfterMs?: number): OrcaError =>
    new OrcaError(orca, text, {
      status,
      // Only the code: the message of a rejected request repeats the signed text.
      ...(code !== '' && { cause: new Error(`${code} (${headers['x-ms-request-id'] ?? 'no request id'})`) }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  if (status === 429 || code === 'ServerBusy' || (status === 503 && waitMs !== undefined))
    return make('origin_throttled', `the origin throttles requests for ${name}`, waitMs ?? DEFAULT_RETRY_AFTER_MS);
  if (NO_CONTAINER.has(code)) return make('bucket_not_found', `the origin has no container for ${name}`);
  if (INVALID_NAME.has(code))
    return CONTAINER_NAME.test(bucket) && key !== ''
      ? make('not_found', `the origin does not allow the name ${name}`)
      : make('bucket_not_found', `the origin has no container for ${name}`);
  if (status === 404) return make('not_found', `the origin has no ${name}`);
  if (ARCHIVED.has(code)) return make('object_archived', `${name} is archived at the origin`);
  if (code === ENCRYPTED) return make('object_encrypted', `${name} needs an encryption key of the client`);
  if (status === 412 || status === 416) return make('object_changed', `${name} has changed at the origin`);
  if (status === 401 || status === 403 || REJECTED_CREDENTIALS.has(code))
    return make('origin_denied', `the origin rejects the cache's credentials for ${name} (${status} ${code})`);
  if (status >= 500 || (status >= 300 && status < 400))
    return make('origin_unavailable', `the origin answers ${status} ${code} for ${name}`);
  return make('origin_unsupported', `the origin answers ${status} ${code} for ${name}`);
}
