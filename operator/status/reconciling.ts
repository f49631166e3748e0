/** Reconciling: work is in progress that may succeed without user action. */
import { REASON } from '#crds/names.ts';
import { blockedReason, conflictMessage, rejectedReason, rolloutProgress } from './messages.ts';
import { isProven } from './ready.ts';
import { rolloutOf } from './rollout.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

export function reconciling(input: StatusInput): ConditionValue {
  const { phase } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'False', reason: REASON.paused, message: '' };
    case 'rejected':
      return phase.permanent
        ? { status: 'False', reason: rejectedReason(phase), message: '' }
        : { status: 'True', reason: rejectedReason(phase), message: phase.message };
    case 'conflict':
      return phase.transient
        ? { status: 'True', reason: REASON.progressing, message: conflictMessage(phase) }
        : { status: 'False', reason: REASON.nameConflict, message: '' };
    case 'blocked': {
      const reason = blockedReason(phase);
      return reason === REASON.waitingForSecret
        ? { status: 'True', reason, message: phase.message }
        : { status: 'False', reason, message: '' };
    }
    case 'applied':
      break;
  }
  const rollout = rolloutOf(input.deployment, input.cache.spec.replicas);
  if (rollout.kind === 'failed') return { status: 'False', reason: REASON.rolloutFailed, message: '' };
  if (rollout.kind === 'progressing')
    return { status: 'True', reason: REASON.progressing, message: rolloutProgress(input, rollout) };
  if (!isProven(input))
    return {
      status: 'True',
      reason: REASON.progressing,
      message: 'waiting for a replica to become ready with this configuration',
    };
  return { status: 'False', reason: REASON.replicasReady, message: '' };
}
