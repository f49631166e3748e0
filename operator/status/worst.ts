/** One verdict of several pods' verdicts. */
import { REASON } from '#crds/names.ts';
import type { NamedReport, PodReport } from '#operator/api/observed.ts';
import type { Verdict } from './situation.ts';

export interface PodVerdict extends Verdict {
  /** The higher one is told: trouble before doubt, doubt before good news, and those before a pod that knows nothing. */
  readonly weight: number;
}

const NO_REPORT: Verdict = { status: 'Unknown', reason: REASON.noReport, message: 'no replica could be asked' };

/** The first of the heaviest; `NoReport` where no pod says anything. Bad news says which pod has it. */
export function worst(reports: readonly NamedReport[], judge: (report: PodReport) => PodVerdict | undefined): Verdict {
  let found: { readonly pod: string; readonly verdict: PodVerdict } | undefined;
  for (const { pod, report } of reports) {
    const verdict = judge(report);
    if (verdict !== undefined && (found === undefined || verdict.weight > found.verdict.weight))
      found = { pod, verdict };
  }
  if (found === undefined) return NO_REPORT;
  const { weight: _weight, ...verdict } = found.verdict;
  return verdict.status === 'False' ? { ...verdict, message: `${verdict.message} (pod ${found.pod})` } : verdict;
}
