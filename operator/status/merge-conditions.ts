/** The next list of conditions: transition times and equivalent messages of the published one are kept. */
import type { Condition } from '#operator/api/orca-cache.ts';
import type { ConditionValue } from './status-input.ts';
import { timestamp } from './timestamp.ts';

/** The maximum that the CRD schema admits. */
const MAX_MESSAGE = 4096;

export type NamedCondition = ConditionValue & { readonly type: string };

/** Conditions of other types are kept unchanged. */
export function mergeConditions(
  values: readonly NamedCondition[],
  published: readonly Condition[],
  generation: number,
  nowMs: number,
): Condition[] {
  const ours = values.map((value) => {
    const { type, status, reason } = value;
    const last = published.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: isEquivalent(value, last) ? last.message : value.message.slice(0, MAX_MESSAGE),
      observedGeneration: generation,
      lastTransitionTime: last?.status === status ? last.lastTransitionTime : timestamp(nowMs),
    };
  });
  return [...ours, ...published.filter(({ type }) => !values.some((value) => value.type === type))];
}

/** The published message reports the same problem and differs at most in the quoted server response. */
function isEquivalent(
  { status, reason, stablePrefix }: ConditionValue,
  last: Condition | undefined,
): last is Condition {
  return (
    stablePrefix !== undefined &&
    last?.status === status &&
    last.reason === reason &&
    last.message.startsWith(stablePrefix)
  );
}
