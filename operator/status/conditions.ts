/** The conditions as a list: the verdicts of now against those of before. */
import { CONDITION } from '#crds/names.ts';
import type { Condition } from '#operator/api/orca-cache.ts';
import { ready } from './ready.ts';
import { reconciling } from './reconciling.ts';
import { SIDES } from './sides.ts';
import type { Situation, Verdict } from './situation.ts';
import { stalled } from './stalled.ts';

/** What the schema admits. */
const MAX_MESSAGE = 4096;

const JUDGES: readonly { readonly type: string; readonly judge: (situation: Situation) => Verdict }[] = [
  { type: CONDITION.ready, judge: ready },
  { type: CONDITION.reconciling, judge: reconciling },
  { type: CONDITION.stalled, judge: stalled },
  ...SIDES,
];

/** Conditions of other types stay as they are. */
export function conditionsOf(situation: Situation, nowMs: number): Condition[] {
  const before = situation.cache.status?.conditions ?? [];
  const ours = JUDGES.map(({ type, judge }) => {
    const verdict = judge(situation);
    const last = before.find((condition) => condition.type === type);
    const { status, reason } = verdict;
    return {
      type,
      status,
      reason,
      message: isSaid(verdict, last) ? last.message : verdict.message.slice(0, MAX_MESSAGE),
      observedGeneration: situation.cache.metadata.generation,
      lastTransitionTime: last?.status === status ? last.lastTransitionTime : timestamp(nowMs),
    };
  });
  return [...ours, ...before.filter(({ type }) => !JUDGES.some((judge) => judge.type === type))];
}

/** The last message says it already, if in other words. */
function isSaid({ status, reason, about }: Verdict, last: Condition | undefined): last is Condition {
  return about !== undefined && last?.status === status && last.reason === reason && last.message.startsWith(about);
}

/** RFC 3339 in whole seconds, as Kubernetes writes it. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
