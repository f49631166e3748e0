/** The printed table of all cases. */
import { table } from '#hack/demo.d/table.ts';
import { quantile, type Tally } from './tally.ts';

const MIB = 1024 * 1024;

export interface CaseResult {
  readonly name: string;
  readonly durationMs: number;
  readonly tally: Tally;
  /** Distinct bytes of objects that were not read before. */
  readonly coldBytes: number;
  readonly originBytes: number;
  /** Share of the time in which a process of this machine waited for a CPU: slowness that the fault did not cause. */
  readonly starved: number;
}

const COLUMNS = [
  { title: 'case', align: 'left' },
  { title: 's' },
  { title: 'requests' },
  { title: 'skipped' },
  { title: 'first failed' },
  { title: '%' },
  { title: 'broken' },
  { title: 'failures' },
  { title: 'wrong' },
  { title: 'short' },
  { title: 'stale' },
  { title: 'cold MiB' },
  { title: 'origin MiB' },
  { title: 'duplication' },
  { title: 'p99 ms' },
  { title: 'max ms' },
  { title: 'stall ms' },
  { title: 'cpu wait %' },
] as const;

export function reportOf(results: readonly CaseResult[]): string {
  const rows = results.map(({ name, durationMs, tally, coldBytes, originBytes, starved }) => [
    name,
    (durationMs / 1000).toFixed(0),
    String(tally.reads),
    String(tally.skipped),
    String(tally.firstFailed),
    ((100 * tally.firstFailed) / tally.reads).toFixed(2),
    String(tally.broken),
    String(tally.failures),
    String(tally.wrong),
    String(tally.short),
    String(tally.stale),
    (coldBytes / MIB).toFixed(0),
    (originBytes / MIB).toFixed(0),
    coldBytes === 0 ? '' : (originBytes / coldBytes).toFixed(3),
    quantile(tally.knownMs, 0.99).toFixed(0),
    quantile(tally.knownMs, 1).toFixed(0),
    tally.longestStallMs.toFixed(0),
    (100 * starved).toFixed(0),
  ]);
  const reasons = results.flatMap(({ name, tally }) =>
    [...tally.reasons].map(([reason, count]) => `${name}: ${count} × ${reason}`),
  );
  return ['', ...table(COLUMNS, rows), ...reasons, ''].join('\n');
}
