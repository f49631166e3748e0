/** Ready: this generation is rolled out, all desired replicas are ready, and the configuration is proven. */
import { REASON } from '#crds/names.ts';
import {
  blockedReason,
  conflictMessage,
  PAUSED_MESSAGE,
  rejectedReason,
  rolloutFailure,
  rolloutProgress,
} from './messages.ts';
import { readiness, rolloutOf } from './rollout.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

export function ready(input: StatusInput): ConditionValue {
  const { phase, cache, upToDate } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'Unknown', reason: REASON.paused, message: PAUSED_MESSAGE };
    case 'conflict':
      return { status: 'False', reason: REASON.nameConflict, message: conflictMessage(phase) };
    case 'rejected':
      return { status: 'False', reason: rejectedReason(phase), message: phase.message };
    case 'blocked':
      // The running pods match the spec; a Secret that is deleted later does not make them unready.
      if (upToDate) break;
      return { status: 'False', reason: blockedReason(phase), message: phase.message };
    case 'applied':
      break;
  }
  const desired = cache.spec.replicas;
  const rollout = rolloutOf(input.deployment, desired);
  if (rollout.kind === 'failed')
    return { status: 'False', reason: REASON.rolloutFailed, message: rolloutFailure(input, rollout) };
  if (rollout.kind === 'progressing')
    return { status: 'False', reason: REASON.progressing, message: rolloutProgress(input, rollout) };
  const message = readiness(rollout.readyReplicas, desired);
  if (rollout.readyReplicas < desired) return { status: 'False', reason: REASON.insufficientReplicas, message };
  if (!isProven(input))
    return {
      status: 'False',
      reason: REASON.progressing,
      message: `configuration ${input.configHash} is not proven yet: no replica has been ready with it`,
    };
  return { status: 'True', reason: REASON.replicasReady, message };
}

/** With zero replicas desired, no pod can prove the configuration, and none depends on it. */
export function isProven({ proven, cache }: StatusInput): boolean {
  return proven || cache.spec.replicas === 0;
}
