/** Ready: this generation is rolled out, as many replicas as wanted are ready, and its configuration has proven to work. */
import { REASON } from '#crds/names.ts';
import { blockedReason, conflictMessage, refusedReason, rolloutFailure, rolloutProgress } from './messages.ts';
import { readiness, rolloutOf } from './rollout.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';

export function ready(input: StatusInput): ConditionValue {
  const { phase, cache, upToDate } = input;
  switch (phase.kind) {
    case 'paused':
      return { status: 'Unknown', reason: REASON.paused, message: 'reconciliation is paused by annotation' };
    case 'conflict':
      return { status: 'False', reason: REASON.nameConflict, message: conflictMessage(phase) };
    case 'refused':
      return { status: 'False', reason: refusedReason(phase), message: phase.message };
    case 'blocked':
      // What runs is what is asked for: a Secret that goes later does not make it less so.
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
      message: `configuration ${input.configHash} is not proven yet`,
    };
  return { status: 'True', reason: REASON.replicasReady, message };
}

/** With no replica wanted nobody can prove anything, and nobody is hurt. */
export function isProven({ proven, cache }: StatusInput): boolean {
  return proven || cache.spec.replicas === 0;
}
