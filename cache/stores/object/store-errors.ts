/** Maps failures without a response of the cachestore to error codes. Pure. */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';

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
