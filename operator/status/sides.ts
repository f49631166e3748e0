/** What the conditions beside Ready would tell of some reports: a change of it is worth a new status. */
import type { NamedReport } from '#operator/api/observed.ts';
import { cacheStoreReady } from './cache-store-ready.ts';
import { originReachable } from './origin-reachable.ts';

export function sidesDigest(reports: readonly NamedReport[]): string {
  const told = [originReachable, cacheStoreReady].map((judge) => {
    const { status, reason, message, about = message } = judge({ reports });
    return { status, reason, about };
  });
  return JSON.stringify(told);
}
