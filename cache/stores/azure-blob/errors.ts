/** Maps the error responses of an Azure Blob cachestore to error codes. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { azureErrorCode } from '#cache/wire/azure/client.ts';
import type { RawResponse } from '#cache/wire/http1/raw-client.ts';
import { retryAfterMs } from '#cache/wire/s3/client.ts';

/** 404 is `chunk_missing` unless the container is missing; anything else means that the store cannot be used now. */
export function errorFor(response: RawResponse, name: string): OrcaError {
  const { status, headers } = response;
  const code = azureErrorCode(response);
  const waitMs = retryAfterMs(headers);
  const options = {
    status,
    // Only the code: the message of a rejected request repeats the signed text.
    ...(code !== '' && { cause: new Error(`${code} (${headers['x-ms-request-id'] ?? 'no request id'})`) }),
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  };
  if (status === 404 && !code.startsWith('Container'))
    return new OrcaError('chunk_missing', `the store has no ${name}`, options);
  return new OrcaError('store_unavailable', `the store answers ${status} ${code} for ${name}`, options);
}
