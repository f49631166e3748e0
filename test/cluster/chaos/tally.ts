/** The outcomes of one case's reads, counted twice: as the SDK saw them with its retries, and per attempt. */

/** The maximum number of different reasons kept; further ones would be noise. */
const MAX_REASONS = 40;

export interface Tally {
  reads: number;
  bytes: number;
  /** Reads whose first attempt failed, with any later outcome. */
  firstFailed: number;
  /** Reads whose first attempt broke after the status line, where the SDK does not retry and the reader starts again. */
  broken: number;
  /** Reads that failed with all their attempts. */
  failures: number;
  /** Bodies with at least one wrong byte. */
  wrong: number;
  /** Bodies that ended cleanly before their last byte. */
  short: number;
  /** Responses with `X-Cache: STALE`. */
  stale: number;
  /** Reads that were not started because MAX_RUNNING were in flight: the machine is too slow for the load. */
  skipped: number;
  /** Longest time in which the clients' process did not run: until then it does not see that a connection was closed. */
  longestStallMs: number;
  /** Durations of reads of known objects; those of new ones depend on the origin's rate. */
  readonly knownMs: number[];
  /** Reasons of failed attempts → their number. */
  readonly reasons: Map<string, number>;
}

export function newTally(): Tally {
  return {
    reads: 0,
    bytes: 0,
    firstFailed: 0,
    broken: 0,
    failures: 0,
    wrong: 0,
    short: 0,
    stale: 0,
    skipped: 0,
    longestStallMs: 0,
    knownMs: [],
    reasons: new Map(),
  };
}

export function addReason(tally: Tally, reason: string): void {
  const known = tally.reasons.get(reason);
  if (known === undefined && tally.reasons.size >= MAX_REASONS) return;
  tally.reasons.set(reason, (known ?? 0) + 1);
}

/** `share` of 0.99 = the 99th percentile; 0 where nothing was counted. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
