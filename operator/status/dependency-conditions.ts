/**
 * The conditions about origin, cachestore and runtime file. They come from the pods' reports and do not affect Ready.
 */
import { CONDITION, REASON } from '#crds/names.ts';
import type { NamedReport } from '#operator/api/observed.ts';
import { usageDigest } from './cache-store-usage.ts';
import { cacheStoreReady } from './cache-store-ready.ts';
import { originReachable } from './origin-reachable.ts';
import { runtimeApplied } from './runtime-applied.ts';

/** Problems are usually minutes old before a user reads the status, so a delay of one minute is acceptable. */
export const SETTLED_POLL_MS = 60_000;
/** A pod has probed the origin within 15 s after it is ready, and the store sooner. */
const FIRST_PROBE_POLL_MS = 10_000;

/** In order of importance. False is a warning; so the end of False is reported, too. */
export const DEPENDENCY_CONDITIONS = [
  { type: CONDITION.originReachable, evaluate: originReachable },
  { type: CONDITION.cacheStoreReady, evaluate: cacheStoreReady },
  { type: CONDITION.runtimeApplied, evaluate: runtimeApplied },
] as const;

/** How long after these reports the pods should be probed again. */
export function pollIntervalMs(reports: readonly NamedReport[]): number {
  const isMissingProbe = DEPENDENCY_CONDITIONS.some(
    ({ evaluate }) => evaluate({ reports }).reason === REASON.notProbed,
  );
  return isMissingProbe ? FIRST_PROBE_POLL_MS : SETTLED_POLL_MS;
}

/** Changes when the reports would change one of these conditions, or the figures of the cachestore. */
export function dependencyDigest(reports: readonly NamedReport[]): string {
  const values = DEPENDENCY_CONDITIONS.map(({ evaluate }) => {
    const { status, reason, message, stablePrefix = message } = evaluate({ reports });
    return { status, reason, stablePrefix };
  });
  return JSON.stringify([...values, usageDigest(reports)]);
}
