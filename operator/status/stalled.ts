/** Stalled: the operator cannot make progress without user action. A failing API server never sets it. */
import { REASON } from '#crds/names.ts';
import { blockedReason, conflictMessage, rejectedReason, rolloutFailure } from './messages.ts';
import { rolloutOf } from './rollout.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

export function stalled(input: StatusInput): ConditionValue {
  const { phase } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'False', reason: REASON.paused, message: '' };
    case 'rejected':
      return phase.permanent
        ? { status: 'True', reason: rejectedReason(phase), message: phase.message }
        : { status: 'False', reason: rejectedReason(phase), message: '' };
    case 'conflict':
      return phase.transient
        ? { status: 'False', reason: REASON.progressing, message: '' }
        : { status: 'True', reason: REASON.nameConflict, message: conflictMessage(phase) };
    case 'blocked': {
      const reason = blockedReason(phase);
      return reason === REASON.waitingForSecret
        ? { status: 'False', reason, message: '' }
        : { status: 'True', reason, message: phase.message };
    }
    case 'applied':
      break;
  }
  const rollout = rolloutOf(input.deployment, input.cache.spec.replicas);
  return rollout.kind === 'failed'
    ? { status: 'True', reason: REASON.rolloutFailed, message: rolloutFailure(input, rollout) }
    : { status: 'False', reason: rollout.kind === 'complete' ? REASON.replicasReady : REASON.progressing, message: '' };
}
