/** RuntimeApplied: whether the pods have taken up what changes without a restart. A wrong value keeps the last good one. */
import { REASON } from '#crds/names.ts';
import type { PodReport } from '#operator/api/observed.ts';
import type { Situation, Verdict } from './situation.ts';
import { worst, type PodVerdict } from './worst.ts';

const WEIGHT = { applied: 0, invalid: 1 } as const;

export function runtimeApplied({ reports }: Pick<Situation, 'reports'>): Verdict {
  return worst(reports, judge);
}

function judge({ runtimeMistakes }: PodReport): PodVerdict | undefined {
  if (runtimeMistakes === undefined) return undefined;
  if (runtimeMistakes.length === 0)
    return {
      weight: WEIGHT.applied,
      status: 'True',
      reason: REASON.applied,
      message: 'what changes without a restart is in force',
    };
  const message = `the last good value stays: ${runtimeMistakes.join('; ')}`;
  return { weight: WEIGHT.invalid, status: 'False', reason: REASON.invalidValue, message };
}
