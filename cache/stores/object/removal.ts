/** Deletes objects with a request for each. */
import type { OrcaError } from '#cache/core/errors.ts';
import type { Removal } from '#cache/engine/ports.ts';
import { isPassing, toStoreError } from './store-errors.ts';

/** As many as one replica's uploads. */
const AT_ONCE = 8;
/**
 * Failures in a row that are not about one object: a store that does not answer would take its timeout for each of a
 * thousand names.
 */
const MAX_OUTAGES = 8;

/** Rejects when cancelled, and where the store does not answer for any name. */
export async function removeEach(names: readonly string[], remove: (name: string) => Promise<void>): Promise<Removal> {
  const failed: { readonly name: string; readonly error: OrcaError }[] = [];
  let next = 0;
  let outages = 0;
  let last: OrcaError | undefined;
  let cancelled: OrcaError | undefined;
  const work = async (): Promise<void> => {
    while (next < names.length && cancelled === undefined) {
      const name = names[next++]!;
      if (outages >= MAX_OUTAGES && last !== undefined) {
        failed.push({ name, error: last });
        continue;
      }
      try {
        await remove(name);
        outages = 0;
      } catch (error) {
        const failure = toStoreError(error, name);
        if (failure.code === 'cancelled') cancelled = failure;
        failed.push({ name, error: failure });
        if (!isPassing(failure)) continue;
        outages++;
        last = failure;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, names.length) }, work));
  if (cancelled !== undefined) throw cancelled;
  // An outage, as of a store that deletes all names with one request.
  if (names.length > 0 && failed.length === names.length && failed.every(({ error }) => isPassing(error)))
    throw failed[0]!.error;
  return { removed: names.length - failed.length, failed };
}
