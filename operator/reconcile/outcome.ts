/** How a reconcile ended, as a value: what the queue does next. A thrown error means "unknown" and is tried again with backoff. */
import { CONDITION, REASON } from '#crds/names.ts';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import type { Phase } from '#operator/status/status-input.ts';

export type Outcome =
  | { readonly kind: 'done' }
  /** Look again: something outside the watched objects is awaited. */
  | { readonly kind: 'requeue'; readonly afterMs: number; readonly reason: string }
  /** The user has to act; the change of the cache that this takes is seen by the watch. */
  | { readonly kind: 'stalled'; readonly reason: string; readonly message: string };

/** Secrets are not watched, so they are asked for. */
const SECRET_RECHECK_MS = 15_000;
/** Neither are objects that are not ours. */
const CONFLICT_RECHECK_MS = 30_000;
/** Garbage collection takes a second or two. */
const PASSING_RECHECK_MS = 2000;
const REFUSAL_RECHECK_MS = 30_000;
/** Pods are not watched: while some are awaited they are looked at, for what they say. */
const ROLLOUT_RECHECK_MS = 5000;
/** Longer than a rollout may take without progress. After it whatever turns is seen by the watch of the Deployment. */
const ROLLOUT_PATIENCE_MS = 180_000;
/** The message of a failing pod is kept fresh, at leisure. */
const FAILED_RECHECK_MS = 30_000;

/** `waitLeftMs`: until a missing Secret stops being awaited. */
export function outcomeOf(phase: Phase, status: OrcaCacheStatus, waitLeftMs: number, nowMs: number): Outcome {
  const ready = status.conditions?.find(({ type }) => type === CONDITION.ready);
  const reason = ready?.reason ?? '';
  switch (phase.kind) {
    case 'paused':
      return { kind: 'done' };
    case 'blocked': {
      const afterMs = waitLeftMs > 0 ? Math.min(waitLeftMs, SECRET_RECHECK_MS) : SECRET_RECHECK_MS;
      return { kind: 'requeue', afterMs, reason };
    }
    case 'conflict':
      return { kind: 'requeue', afterMs: phase.passing ? PASSING_RECHECK_MS : CONFLICT_RECHECK_MS, reason };
    case 'refused':
      return phase.final
        ? { kind: 'stalled', reason, message: phase.message }
        : { kind: 'requeue', afterMs: REFUSAL_RECHECK_MS, reason };
    case 'applied':
      break;
  }
  if (ready?.status === 'True') return { kind: 'done' };
  const isLong = nowMs - Date.parse(ready?.lastTransitionTime ?? '') > ROLLOUT_PATIENCE_MS;
  const isSlow = isLong || reason === REASON.rolloutFailed;
  return { kind: 'requeue', afterMs: isSlow ? FAILED_RECHECK_MS : ROLLOUT_RECHECK_MS, reason };
}

/** The same, and again by then at the latest. */
export function notLaterThan(outcome: Outcome, afterMs: number): Outcome {
  if (outcome.kind !== 'requeue') return { kind: 'requeue', afterMs, reason: 'RotatingPeerAuth' };
  return { ...outcome, afterMs: Math.min(outcome.afterMs, afterMs) };
}
