/** The events of a prewarm, by comparison of the published status with the next one. Pure. */
import { CONDITION, REASON } from '#crds/names.ts';
import { EVENT_REASON } from '#operator/api/event-reasons.ts';
import type { OrcaPrewarm, OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import type { Transition } from '#operator/status/transitions.ts';
import type { Step } from './run.ts';

/** `pinMessage`: why a pin was refused. */
export function eventsOf(
  { spec, status: before }: OrcaPrewarm,
  after: OrcaPrewarmStatus,
  { run, result, change }: Step,
  pinMessage: string,
): Transition[] {
  const events: Transition[] = [];
  const warn = (reason: string, message: string): void => void events.push({ type: 'Warning', reason, message });
  const note = (reason: string, message: string): void => void events.push({ type: 'Normal', reason, message });
  if (change === 'started') note(EVENT_REASON.started, `run ${run.runs} started: ${targetsOf(spec.targets.length)}`);
  if (change !== 'ended' && turned(before, after, CONDITION.suspended, 'True'))
    note(EVENT_REASON.suspended, 'spec.suspend is true');
  if (change !== 'ended' && wasSuspended(before) && turned(before, after, CONDITION.suspended, 'False'))
    note(EVENT_REASON.resumed, 'spec.suspend is false');
  if (before?.pin !== 'Refused' && after.pin === 'Refused')
    warn(EVENT_REASON.pinRefused, pinMessage || 'the pin was refused');
  if (change === 'ended' && result !== undefined) {
    const message = `run ${run.runs}: ${result.message}`;
    if (result.kind === 'complete') note(EVENT_REASON.completed, message);
    else if (result.reason === REASON.deadlineExceeded) warn(EVENT_REASON.deadlineExceeded, message);
    else warn(EVENT_REASON.failed, message);
  }
  const stalled = conditionOf(after, CONDITION.stalled);
  if (change !== 'ended' && stalled !== undefined && turned(before, after, CONDITION.stalled, 'True'))
    warn(stalled.reason, stalled.message);
  return events;
}

function targetsOf(count: number): string {
  return count === 1 ? '1 target' : `${count} targets`;
}

function conditionOf(status: OrcaPrewarmStatus | undefined, type: string) {
  return status?.conditions?.find((condition) => condition.type === type);
}

function wasSuspended(before: OrcaPrewarmStatus | undefined): boolean {
  return conditionOf(before, CONDITION.suspended)?.status === 'True';
}

/** The condition has this status, and did not have it before. */
function turned(
  before: OrcaPrewarmStatus | undefined,
  after: OrcaPrewarmStatus,
  type: string,
  to: 'True' | 'False',
): boolean {
  const [was, is] = [conditionOf(before, type), conditionOf(after, type)];
  return is?.status === to && was?.status !== to;
}
