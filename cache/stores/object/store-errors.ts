/** What never came to an answer of the cachestore, as the engine's words. Pure. */
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';

/** Anything thrown on the way: what is no answer is a store that can't be reached. */
export function toStoreError(error: unknown, key: string): OrcaError {
  if (error instanceof OrcaError && error.code === 'internal')
    return new OrcaError('store_unavailable', error.message, { cause: error });
  return asOrcaError(error, 'store_unavailable', `the store gave no answer for ${key}`);
}
