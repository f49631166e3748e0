/** The conditions as a list: the verdicts of now against those of before. */
import { CONDITION } from '#crds/names.ts';
import type { Condition } from '#operator/api/orca-cache.ts';
import { ready } from './ready.ts';
import { reconciling } from './reconciling.ts';
import { DEPENDENCY_CONDITIONS } from './dependency-conditions.ts';
import type { StatusInput, ConditionValue } from './status-input.ts';
import { stalled } from './stalled.ts';

/** What the schema admits. */
const MAX_MESSAGE = 4096;

const JUDGES: readonly { readonly type: string; readonly evaluate: (input: StatusInput) => ConditionValue }[] = [
  { type: CONDITION.ready, evaluate: ready },
  { type: CONDITION.reconciling, evaluate: reconciling },
  { type: CONDITION.stalled, evaluate: stalled },
  ...DEPENDENCY_CONDITIONS,
];

/** Conditions of other types stay as they are. */
export function conditionsOf(input: StatusInput, nowMs: number): Condition[] {
  const before = input.cache.status?.conditions ?? [];
  const ours = JUDGES.map(({ type, evaluate }) => {
    const verdict = evaluate(input);
    const last = before.find((condition) => condition.type === type);
    const { status, reason } = verdict;
    return {
      type,
      status,
      reason,
      message: isSaid(verdict, last) ? last.message : verdict.message.slice(0, MAX_MESSAGE),
      observedGeneration: input.cache.metadata.generation,
      lastTransitionTime: last?.status === status ? last.lastTransitionTime : timestamp(nowMs),
    };
  });
  return [...ours, ...before.filter(({ type }) => !JUDGES.some((evaluate) => evaluate.type === type))];
}

/** The last message says it already, if in other words. */
function isSaid({ status, reason, about }: ConditionValue, last: Condition | undefined): last is Condition {
  return about !== undefined && last?.status === status && last.reason === reason && last.message.startsWith(about);
}

/** RFC 3339 in whole seconds, as Kubernetes writes it. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
