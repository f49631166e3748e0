/** One verdict of several pods' verdicts. */
import { REASON } from '#crds/names.ts';
import type { NamedReport, PodReport } from '#operator/api/observed.ts';
import type { ConditionValue } from './status-input.ts';

export interface PodConditionValue extends ConditionValue {
  /** The higher one is told: trouble before doubt, doubt before good news, and those before a pod that knows nothing. */
  readonly weight: number;
}

const NO_REPORT: ConditionValue = { status: 'Unknown', reason: REASON.noReport, message: 'no replica could be asked' };

/** The first of the heaviest; `NoReport` where no pod says anything. Bad news says which pod has it. */
export function aggregate(
  reports: readonly NamedReport[],
  evaluate: (report: PodReport) => PodConditionValue | undefined,
): ConditionValue {
  let found: { readonly pod: string; readonly verdict: PodConditionValue } | undefined;
  for (const { pod, report } of reports) {
    const verdict = evaluate(report);
    if (verdict !== undefined && (found === undefined || verdict.weight > found.verdict.weight))
      found = { pod, verdict };
  }
  if (found === undefined) return NO_REPORT;
  const { weight: _weight, ...verdict } = found.verdict;
  return verdict.status === 'False' ? { ...verdict, message: `${verdict.message} (pod ${found.pod})` } : verdict;
}
