/**
 * RuntimeApplied: whether the pods use the settings that reload at run time. A pod keeps the last valid value of each.
 */
import { REASON } from '#crds/names.ts';
import type { PodReport } from '#operator/api/observed.ts';
import { aggregate, type PodConditionValue } from './aggregate.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

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
      message: 'all settings that reload at run time are in use',
    };
  const message = `the last valid value stays in use: ${runtimeProblems.join('; ')}`;
  return { weight: WEIGHT.invalid, status: 'False', reason: REASON.invalidValue, message };
}
