/** The conditions of a prewarm: `Complete`, `Failed` and `Suspended` as of a Job, and those of kstatus. Pure. */
import { CONDITION, REASON, type Reason } from '#crds/names.ts';
import type { NamedCondition } from '#operator/status/merge-conditions.ts';
import type { Problem } from './problem.ts';
import type { Result } from './run.ts';

/** What a prewarm is about to do. */
export type Phase =
  /** Something that it needs does not exist. `waiting`: within the grace period. */
  | { readonly kind: 'blocked'; readonly problem: Problem; readonly waiting: boolean }
  /** `message`: what it does, or why it makes no progress. */
  | { readonly kind: 'running'; readonly isReported: boolean; readonly message: string }
  /** `isOpen`: a run is suspended; otherwise only the schedule is. */
  | { readonly kind: 'suspended'; readonly isOpen: boolean; readonly result: Result | undefined }
  /** The next run is due at that time. */
  | { readonly kind: 'scheduled'; readonly nextRunTime: string; readonly result: Result | undefined }
  | { readonly kind: 'over'; readonly result: Result };

/** For the column STATUS. */
export function stateOf(phase: Phase) {
  switch (phase.kind) {
    case 'blocked':
      return phase.waiting ? 'Pending' : 'Stalled';
    case 'running':
      return phase.isReported ? 'Running' : 'Pending';
    case 'suspended':
      return 'Suspended';
    case 'scheduled':
      return phase.result?.kind === 'failed' ? 'Failed' : 'Scheduled';
    case 'over':
      return phase.result.kind === 'failed' ? 'Failed' : 'Complete';
  }
}

export function conditionsOf(phase: Phase): NamedCondition[] {
  const result = 'result' in phase ? phase.result : undefined;
  const reason = reasonOf(phase);
  const no = (type: string): NamedCondition => ({ type, status: 'False', reason, message: '' });
  const yes = (type: string, why: Reason, message: string): NamedCondition => ({
    type,
    status: 'True',
    reason: why,
    message,
  });
  const ended = (type: string, kind: Result['kind']): NamedCondition =>
    result?.kind === kind ? yes(type, result.reason, result.message) : no(type);
  return [
    ended(CONDITION.complete, 'complete'),
    ended(CONDITION.failed, 'failed'),
    phase.kind === 'suspended'
      ? yes(CONDITION.suspended, REASON.suspended, 'spec.suspend is true; set it to false to go on')
      : no(CONDITION.suspended),
    ready(phase),
    isReconciling(phase) ? yes(CONDITION.reconciling, reason, messageOf(phase)) : no(CONDITION.reconciling),
    isStalled(phase) ? yes(CONDITION.stalled, reason, messageOf(phase)) : no(CONDITION.stalled),
  ];
}

function reasonOf(phase: Phase): Reason {
  switch (phase.kind) {
    case 'blocked':
      return phase.waiting ? REASON.waitingForReference : phase.problem.reason;
    case 'running':
      return REASON.running;
    case 'suspended':
      return REASON.suspended;
    case 'scheduled':
      return phase.result?.reason ?? REASON.scheduled;
    case 'over':
      return phase.result.reason;
  }
}

function messageOf(phase: Phase): string {
  switch (phase.kind) {
    case 'blocked':
      return phase.problem.message;
    case 'running':
      return phase.message;
    case 'suspended':
      return phase.result?.message ?? '';
    case 'scheduled':
      return phase.result?.message ?? `the first run starts at ${phase.nextRunTime}`;
    case 'over':
      return phase.result.message;
  }
}

/** The objects are stored: the newest run is complete, or no run has been due yet. */
function ready(phase: Phase): NamedCondition {
  const value = { type: CONDITION.ready, reason: reasonOf(phase), message: messageOf(phase) };
  switch (phase.kind) {
    case 'blocked':
    case 'running':
      return { ...value, status: 'False' };
    case 'suspended':
      if (phase.isOpen) return { ...value, status: 'Unknown', message: 'the run is suspended' };
      return { ...value, status: phase.result?.kind === 'failed' ? 'False' : 'True' };
    case 'scheduled':
      return { ...value, status: phase.result?.kind === 'failed' ? 'False' : 'True' };
    case 'over':
      return { ...value, status: phase.result.kind === 'failed' ? 'False' : 'True' };
  }
}

function isReconciling(phase: Phase): boolean {
  return phase.kind === 'running' || (phase.kind === 'blocked' && phase.waiting);
}

/** After a failed run, a schedule makes another attempt by itself. */
function isStalled(phase: Phase): boolean {
  return (phase.kind === 'blocked' && !phase.waiting) || (phase.kind === 'over' && phase.result.kind === 'failed');
}
