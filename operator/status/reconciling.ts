/** Reconciling: work is in flight that may end well without the user. */
import { REASON } from '#crds/names.ts';
import { blockedReason, conflictMessage, refusedReason, rolloutProgress } from './messages.ts';
import { isProven } from './ready.ts';
import { rolloutOf } from './rollout.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';

export function reconciling(input: StatusInput): ConditionValue {
  const { phase } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'False', reason: REASON.paused, message: '' };
    case 'refused':
      return phase.final
        ? { status: 'False', reason: refusedReason(phase), message: '' }
        : { status: 'True', reason: refusedReason(phase), message: phase.message };
    case 'conflict':
      return phase.passing
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
    return { status: 'True', reason: REASON.progressing, message: 'waiting for a replica to prove the configuration' };
  return { status: 'False', reason: REASON.replicasReady, message: '' };
}
