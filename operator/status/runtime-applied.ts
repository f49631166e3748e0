/** RuntimeApplied: whether the pods have taken up what changes without a restart. A wrong value keeps the last good one. */
import { REASON } from '#crds/names.ts';
import type { PodReport } from '#operator/api/observed.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';

const WEIGHT = { applied: 0, invalid: 1 } as const;

export function runtimeApplied({ reports }: Pick<StatusInput, 'reports'>): ConditionValue {
  return aggregate(reports, evaluate);
}

function evaluate({ runtimeProblems }: PodReport): PodConditionValue | undefined {
  if (runtimeProblems === undefined) return undefined;
  if (runtimeProblems.length === 0)
    return {
      weight: WEIGHT.applied,
      status: 'True',
      reason: REASON.applied,
      message: 'what changes without a restart is in force',
    };
  const message = `the last good value stays: ${runtimeProblems.join('; ')}`;
  return { weight: WEIGHT.invalid, status: 'False', reason: REASON.invalidValue, message };
}
