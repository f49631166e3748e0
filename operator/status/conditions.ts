/** Computes the condition list of a cache. */
import { CONDITION } from '#crds/names.ts';
import type { Condition } from '#operator/api/orca-cache.ts';
import { DEPENDENCY_CONDITIONS } from './dependency-conditions.ts';
import { mergeConditions } from './merge-conditions.ts';
import { ready } from './ready.ts';
import { reconciling } from './reconciling.ts';
import { stalled } from './stalled.ts';
import type { ConditionValue, StatusInput } from './status-input.ts';

const CONDITIONS: readonly { readonly type: string; readonly evaluate: (input: StatusInput) => ConditionValue }[] = [
  { type: CONDITION.ready, evaluate: ready },
  { type: CONDITION.reconciling, evaluate: reconciling },
  { type: CONDITION.stalled, evaluate: stalled },
  ...DEPENDENCY_CONDITIONS,
];

export function conditionsOf(input: StatusInput, nowMs: number): Condition[] {
  const values = CONDITIONS.map(({ type, evaluate }) => ({ type, ...evaluate(input) }));
  const { metadata, status } = input.cache;
  return mergeConditions(values, status?.conditions ?? [], metadata.generation, nowMs);
}
