/** Aggregates the condition values of several pods into one. */
import { REASON } from '#crds/names.ts';
import type { NamedReport, PodReport } from '#operator/api/observed.ts';
import type { ConditionValue } from './status-input.ts';

export interface PodConditionValue extends ConditionValue {
  /** The highest wins: a problem outranks an unknown state, which outranks success, which outranks "not probed yet". */
  readonly weight: number;
}

const NO_REPORT: ConditionValue = {
  status: 'Unknown',
  reason: REASON.noReport,
  message: 'no replica could be reached on its ops port',
};

/** The first value of the highest weight; `NoReport` if no pod reports anything. A False value names its pod. */
export function aggregate(
  reports: readonly NamedReport[],
  evaluate: (report: PodReport) => PodConditionValue | undefined,
): ConditionValue {
  let worst: { readonly pod: string; readonly value: PodConditionValue } | undefined;
  for (const { pod, report } of reports) {
    const value = evaluate(report);
    if (value !== undefined && (worst === undefined || value.weight > worst.value.weight)) worst = { pod, value };
  }
  if (worst === undefined) return NO_REPORT;
  const { weight: _weight, ...value } = worst.value;
  return value.status === 'False' ? { ...value, message: `${value.message} (pod ${worst.pod})` } : value;
}
