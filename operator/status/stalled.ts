/** Stalled: nothing goes on until somebody does something. Never because of a passing failure of the API server. */
import { REASON } from '#crds/names.ts';
import { blockedReason, conflictMessage, refusedReason, rolloutFailure } from './messages.ts';
import { rolloutOf } from './rollout.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';

export function stalled(input: StatusInput): ConditionValue {
  const { phase } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'False', reason: REASON.paused, message: '' };
    case 'refused':
      return phase.final
        ? { status: 'True', reason: refusedReason(phase), message: phase.message }
        : { status: 'False', reason: refusedReason(phase), message: '' };
    case 'conflict':
      return phase.passing
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
