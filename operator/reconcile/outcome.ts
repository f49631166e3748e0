/** The outcome of a reconcile as a value: what the queue does next. A thrown error is retried with backoff. */
import { CONDITION, REASON } from '#crds/names.ts';
import type { OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import type { Phase } from '#operator/status/status-input.ts';

export type Outcome =
  | { readonly kind: 'done' }
  /** Reconcile again later: the cause is in objects that are not watched. */
  | { readonly kind: 'requeue'; readonly afterMs: number; readonly reason: string }
  /** The user has to change the spec; the watch reports that change. */
  | { readonly kind: 'stalled'; readonly reason: string; readonly message: string };

/** Secrets are not watched, so they are polled. */
const SECRET_RECHECK_MS = 15_000;
/** Objects of other owners are not watched either. */
const CONFLICT_RECHECK_MS = 30_000;
/** Garbage collection takes one to two seconds. */
const DELETION_RECHECK_MS = 2000;
/** RBAC, quotas and admission policies are not watched. */
const REJECTION_RECHECK_MS = 30_000;
/** Pods are not watched. During a rollout they are polled for the cause of a delay. */
const ROLLOUT_RECHECK_MS = 5000;
/** Longer than the progress deadline (120 s). After it, the watch of the Deployment reports the changes that matter. */
const FAST_RECHECK_LIMIT_MS = 180_000;
/** Only keeps the message about the failing pod up to date. */
const SLOW_RECHECK_MS = 30_000;

/** `waitLeftMs`: the rest of the grace period for a missing Secret. */
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
      return { kind: 'requeue', afterMs: phase.transient ? DELETION_RECHECK_MS : CONFLICT_RECHECK_MS, reason };
    case 'rejected':
      return phase.permanent
        ? { kind: 'stalled', reason, message: phase.message }
        : { kind: 'requeue', afterMs: REJECTION_RECHECK_MS, reason };
    case 'applied':
      break;
  }
  if (ready?.status === 'True') return { kind: 'done' };
  const isLong = nowMs - Date.parse(ready?.lastTransitionTime ?? '') > FAST_RECHECK_LIMIT_MS;
  const isSlow = isLong || reason === REASON.rolloutFailed;
  return { kind: 'requeue', afterMs: isSlow ? SLOW_RECHECK_MS : ROLLOUT_RECHECK_MS, reason };
}

/** The same outcome, but requeued after `afterMs` at the latest. */
export function notLaterThan(outcome: Outcome, afterMs: number): Outcome {
  if (outcome.kind !== 'requeue') return { kind: 'requeue', afterMs, reason: 'RotatingPeerAuth' };
  return { ...outcome, afterMs: Math.min(outcome.afterMs, afterMs) };
}
