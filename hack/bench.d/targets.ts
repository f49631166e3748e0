/** The goals of the project: what each line may cost, relative to a bare Node server in the same run, or in milliseconds. Pure. */
import type { LineId } from './lines.ts';
import type { Row } from './table.ts';

interface Target {
  readonly line: LineId;
  /** The beginning of the titles. */
  readonly work: string;
  /** CPU per unit of work relative to the server of that name, or the time of a read. */
  readonly limit:
    | { readonly server: 'bare Node' | 'bare Node with CRC-32'; readonly ratio: number }
    | { readonly totalMs: number };
}

export const TARGETS: readonly Target[] = [
  {
    line: 'a',
    work: 'warm 64 MiB objects from the store',
    // Blocks are verified.
    limit: { server: 'bare Node with CRC-32', ratio: 1.25 },
  },
  { line: 'a', work: 'warm 64 MiB objects from memory', limit: { server: 'bare Node', ratio: 1.15 } },
  { line: 'b', work: 'warm 64 KiB ranges from memory', limit: { server: 'bare Node', ratio: 1.6 } },
  { line: 'c', work: 'warm 4 KiB objects from memory', limit: { server: 'bare Node', ratio: 1.6 } },
  { line: 'd', work: 'cold 64 MiB', limit: { totalMs: 200 } },
  { line: 'd', work: 'cold 256 MiB', limit: { totalMs: 500 } },
];

const OURS = 'OrcaCache';

export interface Verdict {
  readonly line: LineId;
  readonly work: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: '×' | 'ms';
  readonly isMet: boolean;
}

/** One verdict for each measured work with a target. Without its bare server a ratio is NaN, which does not meet it. */
export function verdictsOf(rows: readonly Row[]): Verdict[] {
  const valueOf = (title: string, server: string): number => {
    const sample = rows.find(({ variant, target }) => variant.title === title && target === server)?.sample;
    return sample === undefined ? Number.NaN : sample.cpuUsPerRequest;
  };
  return rows.flatMap(({ variant, target, sample }) => {
    const { line, title } = variant;
    const found = TARGETS.find((goal) => goal.line === line && title.startsWith(goal.work));
    if (target !== OURS || found === undefined) return [];
    const { limit } = found;
    const [value, most, unit] =
      'totalMs' in limit
        ? ([sample.totalMs, limit.totalMs, 'ms'] as const)
        : ([sample.cpuUsPerRequest / valueOf(title, limit.server), limit.ratio, '×'] as const);
    return [{ line, work: title, value, limit: most, unit, isMet: value <= most }];
  });
}

/** A line of text for each. */
export function describeVerdict({ line, work, value, limit, unit, isMet }: Verdict): string {
  const number = (of: number): string => (unit === 'ms' ? `${of.toFixed(0)} ms` : `${of.toFixed(2)} ×`);
  return `${isMet ? 'met   ' : 'MISSED'}  ${line}: ${work}: ${number(value)}, at most ${number(limit)}`;
}
