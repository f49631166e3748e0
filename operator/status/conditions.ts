/** Computes the condition list, and keeps transition times and equivalent messages of the published one. */
import { CONDITION } from '#crds/names.ts';
import type { Condition } from '#operator/api/orca-cache.ts';
import { DEPENDENCY_CONDITIONS } from './dependency-conditions.ts';
import { ready } from './ready.ts';
import { reconciling } from './reconciling.ts';
import { stalled } from './stalled.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';
import { timestamp } from './timestamp.ts';

/** The maximum that the CRD schema admits. */
const MAX_MESSAGE = 4096;

const CONDITIONS: readonly { readonly type: string; readonly evaluate: (input: StatusInput) => ConditionValue }[] = [
  { type: CONDITION.ready, evaluate: ready },
  { type: CONDITION.reconciling, evaluate: reconciling },
  { type: CONDITION.stalled, evaluate: stalled },
  ...DEPENDENCY_CONDITIONS,
];

/** Conditions of other types are kept unchanged. */
export function conditionsOf(input: StatusInput, nowMs: number): Condition[] {
  const published = input.cache.status?.conditions ?? [];
  const ours = CONDITIONS.map(({ type, evaluate }) => {
    const value = evaluate(input);
    const last = published.find((condition) => condition.type === type);
    const { status, reason } = value;
    return {
      type,
      status,
      reason,
      message: isEquivalent(value, last) ? last.message : value.message.slice(0, MAX_MESSAGE),
      observedGeneration: input.cache.metadata.generation,
      lastTransitionTime: last?.status === status ? last.lastTransitionTime : timestamp(nowMs),
    };
  });
  return [...ours, ...published.filter(({ type }) => !CONDITIONS.some((condition) => condition.type === type))];
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
