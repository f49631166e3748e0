/** How often replicas report. */
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';

/** A crash loses at most the reads of a minute. */
export const REPORT_MS = 60_000;
/** While the cachestore is full. */
const URGENT_REPORT_MS = 5_000;
/** A message has 1 MiB at most; a peer that takes longer does not matter for a minute's reads. */
export const REPORT_TIMEOUT_MS = 5_000;
/** With short sweeps the accountant needs the results of one during the next one. */
const REPORTS_PER_SWEEP = 4;

export function reportIntervalMs({ sweepIntervalMs }: CapacitySettings, isUrgent: boolean): number {
  return Math.min(isUrgent ? URGENT_REPORT_MS : REPORT_MS, sweepIntervalMs / REPORTS_PER_SWEEP);
}
