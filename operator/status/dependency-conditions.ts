/** What the conditions beside Ready would tell of some reports: a change of it is worth a new status. */
import { CONDITION, REASON } from '#crds/names.ts';
import type { NamedReport } from '#operator/api/observed.ts';
import { cacheStoreReady } from './cache-store-ready.ts';
import { originReachable } from './origin-reachable.ts';
import { runtimeApplied } from './runtime-applied.ts';

/** Trouble with the origin or the store is minutes old before somebody looks here. */
export const SETTLED_POLL_MS = 60_000;
/** A pod knows of the origin 15 s after it is ready, and of the store sooner. */
const SOON_MS = 10_000;

/** In the order of importance. Their False is bad news, and the end of it good; Ready does not look at them. */
export const DEPENDENCY_CONDITIONS = [
  { type: CONDITION.originReachable, evaluate: originReachable },
  { type: CONDITION.cacheStoreReady, evaluate: cacheStoreReady },
  { type: CONDITION.runtimeApplied, evaluate: runtimeApplied },
] as const;

/** How soon those who said this are worth asking again. */
export function pollIntervalMs(reports: readonly NamedReport[]): number {
  const isNew = DEPENDENCY_CONDITIONS.some(({ evaluate }) => evaluate({ reports }).reason === REASON.notProbed);
  return isNew ? SOON_MS : SETTLED_POLL_MS;
}

export function dependencyDigest(reports: readonly NamedReport[]): string {
  const told = DEPENDENCY_CONDITIONS.map(({ evaluate }) => {
    const { status, reason, message, about = message } = evaluate({ reports });
    return { status, reason, about };
  });
  return JSON.stringify(told);
}
