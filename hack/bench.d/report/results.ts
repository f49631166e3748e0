/** The results of a run as a file. Pure. */
import { LINE_IDS, type LineId, type Variant } from '#hack/bench.d/lines.ts';
import type { Machine } from '#hack/bench.d/machine.ts';
import { medianOf, type Sample } from '#hack/bench.d/sample.ts';

/** All samples of one server doing one work. */
export interface Row {
  readonly variant: Variant;
  /** Name of the server. */
  readonly target: string;
  readonly samples: readonly Sample[];
  /** The median of each field. */
  readonly median: Sample;
}

export interface Results {
  readonly format: 1;
  /** As in ISO 8601, in UTC. */
  readonly date: string;
  /** The commit of the code under test. */
  readonly commit: string | undefined;
  /** Whether the code differs from the commit. */
  readonly isChanged: boolean;
  readonly machine: Machine;
  readonly options: {
    readonly repeats: number;
    readonly durationS: number;
    readonly store: string;
  };
  readonly rows: readonly Row[];
  /** Measurements that this machine does not allow, and why. */
  readonly notMeasured: readonly { readonly line: LineId; readonly title: string; readonly reason: string }[];
}

/** More than the precision of any measurement. */
const DIGITS = 5;

export function rowOf(variant: Variant, target: string, samples: readonly Sample[]): Row {
  return { variant, target, samples, median: medianOf(samples) };
}

/** One line for each row, so that a diff of two runs is readable. Numbers are rounded; NaN becomes null. */
export function formatResults({ rows, ...rest }: Results): string {
  const head = JSON.stringify(rest, undefined, 2).replace(/\n\}$/, '');
  const lines = rows.map((row) => `    ${JSON.stringify(row, rounded)}`);
  return `${head},\n  "rows": [\n${lines.join(',\n')}\n  ]\n}\n`;
}

/** Throws an error that names the problem. */
export function parseResults(text: string): Results {
  const results = JSON.parse(text, nullIsNaN) as Partial<Results>;
  if (results.format !== 1 || !Array.isArray(results.rows))
    throw new Error('the file contains no results of hack/bench --json in format 1: repeat the run');
  const unknown = (results as Results).rows.find(({ variant }) => !LINE_IDS.includes(variant.line));
  if (unknown !== undefined) throw new Error(`the results contain the unknown line ${unknown.variant.line}`);
  return results as Results;
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
}

/** JSON has no NaN, which samples use for "no counter". */
function nullIsNaN(_key: string, value: unknown): unknown {
  return value === null ? Number.NaN : value;
}
