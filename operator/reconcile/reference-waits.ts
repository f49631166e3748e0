/** How long each cache has been waiting for a referenced Secret or ConfigMap that does not exist. */
import { CONDITION, REASON } from '#crds/names.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import type { Clock } from '#shared/clock.ts';

/** A Secret may be created just after the cache that references it. After this time it is reported as an error. */
const MISSING_GRACE_MS = 60_000;

export interface ReferenceWaits {
  /** Starts the wait if it has not started; 0 after the grace period. */
  leftMs(key: string, cache: OrcaCache): number;
  end(key: string): void;
}

export function openReferenceWaits(clock: Clock): ReferenceWaits {
  const startedAtMs = new Map<string, number>();
  return {
    leftMs(key, cache) {
      const startMs = startedAtMs.get(key) ?? publishedStartMs(cache) ?? clock.date();
      startedAtMs.set(key, startMs);
      return Math.max(startMs + MISSING_GRACE_MS - clock.date(), 0);
    },
    end: (key) => void startedAtMs.delete(key),
  };
}

/** After a restart of the operator, the wait continues from the time in the published status. */
function publishedStartMs({ status }: OrcaCache): number | undefined {
  const found = status?.conditions?.find(
    ({ type, status: value, reason }) =>
      value === 'True' &&
      ((type === CONDITION.reconciling && reason === REASON.waitingForSecret) ||
        (type === CONDITION.stalled && reason === REASON.secretNotFound)),
  );
  if (found === undefined) return undefined;
  return found.type === CONDITION.stalled ? 0 : Date.parse(found.lastTransitionTime);
}
