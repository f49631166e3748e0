/** The events of a prewarm, by comparison of the published status with the next one. Pure. */
import { CONDITION } from '#crds/names.ts';
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
  if (change === 'started') note('Started', `run ${run.runs} started: ${targetsOf(spec.targets.length)}`);
  if (change !== 'ended' && turned(before, after, CONDITION.suspended, 'True')) note('Suspended', 'suspended');
  if (turned(before, after, CONDITION.suspended, 'False') && isPublished(before, CONDITION.suspended))
    note('Resumed', 'resumed');
  if (before?.pin !== 'Refused' && after.pin === 'Refused') warn('PinRefused', pinMessage || 'the pin was refused');
  if (change === 'ended' && result?.kind === 'complete') note('Completed', `run ${run.runs}: ${result.message}`);
  if (change === 'ended' && result?.kind === 'failed')
    warn(result.reason === 'DeadlineExceeded' ? result.reason : 'Failed', `run ${run.runs}: ${result.message}`);
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

function isPublished(status: OrcaPrewarmStatus | undefined, type: string): boolean {
  return conditionOf(status, type) !== undefined;
}

/** The condition has this status or reason newly. */
function turned(
  before: OrcaPrewarmStatus | undefined,
  after: OrcaPrewarmStatus,
  type: string,
  to: 'True' | 'False',
): boolean {
  const [was, is] = [conditionOf(before, type), conditionOf(after, type)];
  return is?.status === to && was?.status !== to;
}
