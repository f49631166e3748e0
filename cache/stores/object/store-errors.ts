/** Maps failures without a response of the cachestore to error codes. Pure. */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { WireError } from '#cache/wire/http1/errors.ts';

/** Without a response the store is unavailable. */
export function toStoreError(error: unknown, key: string): OrcaError {
  if (error instanceof OrcaError && error.code === 'internal')
    return new OrcaError('store_unavailable', error.message, { cause: error });
  return asOrcaError(error, 'store_unavailable', `the store did not answer for ${key}`);
}

/** Where no object was requested, 404 does not mean that one is missing. */
export function unavailable(error: OrcaError): OrcaError {
  if (error.code !== 'chunk_missing') return error;
  const { message, status } = error;
  return new OrcaError('store_unavailable', message, { cause: error, ...(status !== undefined && { status }) });
}

/** Whether the same request may succeed later: no response, too many requests, or a failure of the store. */
export function isPassing({ status, cause }: OrcaError): boolean {
  if (status === undefined) return cause instanceof WireError;
  return status === 408 || status === 429 || (status >= 500 && status !== 501);
}
