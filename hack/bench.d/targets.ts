/**
 * The goals of the project: what each line may cost relative to a bare Node server in the same run, or a limit of its own.
 * Pure.
 */
import { isSmall, type LineId, type Variant } from './lines.ts';
import type { CpuLimits } from './cpu-limit.ts';
import type { Results, Row } from './report/results.ts';
import type { Sample } from './sample.ts';

export const OURS = 'OrcaCache';
export const BARE = 'bare Node';
export const BARE_WITH_CRC = 'bare Node with CRC-32';

type Limit =
  /** CPU per unit of work relative to bare Node. */
  | { readonly kind: 'cpu'; readonly ratio: number }
  | {
      readonly kind: 'most';
      readonly of: keyof Sample;
      readonly what: string;
      readonly unit: 'ms' | '×' | '';
      readonly value: number;
    }
  /** What two workers achieve, relative to one. */
  | { readonly kind: 'speedup'; readonly ratio: number };

interface Target {
  readonly line: LineId;
  /** The beginning of the titles. */
  readonly work: string;
  readonly limit: Limit;
}

const TOTAL_MS = { kind: 'most', of: 'totalMs', what: 'time', unit: 'ms' } as const;
const DUPLICATION = { kind: 'most', of: 'duplication', what: 'bytes from the origin', unit: '×' } as const;
const ONCE = { ...DUPLICATION, value: 1 };

export const TARGETS: readonly Target[] = [
  // Ours also verifies every block, which the bare server does not.
  { line: 'a', work: 'warm 64 MiB objects from the store', limit: { kind: 'cpu', ratio: 1.25 } },
  { line: 'a', work: 'warm 64 MiB objects from memory', limit: { kind: 'cpu', ratio: 1.15 } },
  {
    line: 'b',
    work: 'warm 64 KiB ranges from the store, 8 MiB chunks',
    limit: { kind: 'cpu', ratio: 1.6 },
  },
  { line: 'b', work: 'warm 64 KiB ranges from memory', limit: { kind: 'cpu', ratio: 1.6 } },
  { line: 'c', work: 'warm 4 KiB objects from the store', limit: { kind: 'cpu', ratio: 1.6 } },
  { line: 'c', work: 'warm 4 KiB objects from memory', limit: { kind: 'cpu', ratio: 1.6 } },
  { line: 'd', work: 'cold 64 MiB', limit: { ...TOTAL_MS, value: 200 } },
  { line: 'd', work: 'cold 256 MiB', limit: { ...TOTAL_MS, value: 500 } },
  { line: 'd', work: 'cold', limit: ONCE },
  {
    line: 'e',
    work: '100 clients, one cold 64 MiB object, 3 replicas',
    limit: { kind: 'most', of: 'missesPerChunk', what: 'store reads without result, per chunk', unit: '', value: 2 },
  },
  { line: 'e', work: '100 clients, one cold 64 MiB object', limit: ONCE },
  { line: 'e', work: '30 clients, one cold 64 MiB object, 3 replicas with 0.2 CPU each', limit: ONCE },
  { line: 'h', work: 'warm', limit: { kind: 'speedup', ratio: 1.8 } },
  {
    line: 'i',
    work: 'cold',
    limit: { kind: 'most', of: 'slowestFirstByteMs', what: 'slowest first byte', unit: 'ms', value: 1500 },
  },
];

export interface Verdict {
  readonly line: LineId;
  readonly work: string;
  /** What is limited. */
  readonly what: string;
  readonly value: number;
  readonly isMinimum: boolean;
  readonly limit: number;
  readonly unit: '×' | 'ms' | '';
  readonly isMet: boolean;
}

/** One verdict for each target of each measured work. A value that is missing is NaN, which does not meet a target. */
export function verdictsOf(rows: readonly Row[], limits: CpuLimits): Verdict[] {
  const works = new Map(rows.map(({ variant }) => [variant.title, variant]));
  return [...works.values()].flatMap((variant) =>
    targetsOf(variant).map(({ limit }) => verdictOf(variant, limit, rows, limits)),
  );
}

/** Also one for each target of work that the machine cannot measure. */
export function verdictsOfRun({ rows, machine, notMeasured }: Results): Verdict[] {
  const missing = notMeasured.flatMap(({ line, title }) =>
    TARGETS.filter((target) => matches(target, line, title)).map(({ limit }) => ({
      ...shapeOf(limit),
      line,
      work: title,
      value: Number.NaN,
      isMet: false,
    })),
  );
  return [...verdictsOf(rows, machine.cpuLimits), ...missing];
}

/** The limit of a row in the unit of its figure, for a plot; undefined if that is another number. */
export function limitInFigure(variant: Variant, rows: readonly Row[]): number | undefined {
  const figured: Partial<Record<LineId, keyof Sample>> = { d: 'totalMs', i: 'slowestFirstByteMs' };
  for (const { limit } of targetsOf(variant)) {
    if (limit.kind === 'cpu') {
      const bare = medianFor(rows, variant, BARE);
      if (bare !== undefined) return limit.ratio * (isSmall(variant) ? bare.cpuUsPerRequest : bare.cpuSecondsPerGib);
    }
    if (limit.kind === 'most' && limit.of === figured[variant.line]) return limit.value;
    if (limit.kind === 'speedup') {
      const one = medianFor(rows, variant, workersName(OURS, 1));
      if (one !== undefined) return limit.ratio * (isSmall(variant) ? one.requestsPerSecond : one.megabytesPerSecond);
    }
  }
  return undefined;
}

/** The name of the server of line h. */
export function workersName(server: string, count: number): string {
  return `${server}, ${count} ${count === 1 ? 'worker' : 'workers'}`;
}

/**
 * How much more two workers achieve than one. Without limits of CPU, all processes compete for the cores of the machine,
 * so it is what two cores would achieve at the measured CPU time per request.
 */
export function speedupOf(rows: readonly Row[], variant: Variant, limits: CpuLimits): number {
  const one = medianFor(rows, variant, workersName(OURS, 1));
  const two = medianFor(rows, variant, workersName(OURS, 2));
  if (one === undefined || two === undefined) return Number.NaN;
  return limits === 'none'
    ? (2 * one.cpuUsPerRequest) / two.cpuUsPerRequest
    : two.requestsPerSecond / one.requestsPerSecond;
}

function verdictOf(variant: Variant, limit: Limit, rows: readonly Row[], limits: CpuLimits): Verdict {
  const value = valueOf(variant, limit, rows, limits);
  const shape = shapeOf(limit);
  const isMet = shape.isMinimum ? value >= shape.limit : value <= shape.limit;
  return { ...shape, line: variant.line, work: variant.title, value, isMet };
}

function valueOf(variant: Variant, limit: Limit, rows: readonly Row[], limits: CpuLimits): number {
  if (limit.kind === 'speedup') return speedupOf(rows, variant, limits);
  const ours = medianFor(rows, variant, OURS);
  if (ours === undefined) return Number.NaN;
  if (limit.kind === 'most') return ours[limit.of];
  return ours.cpuUsPerRequest / (medianFor(rows, variant, BARE)?.cpuUsPerRequest ?? Number.NaN);
}

function shapeOf(limit: Limit): Pick<Verdict, 'what' | 'isMinimum' | 'limit' | 'unit'> {
  switch (limit.kind) {
    case 'cpu':
      return { what: `CPU relative to ${BARE}`, isMinimum: false, limit: limit.ratio, unit: '×' };
    case 'speedup':
      return { what: 'rate of 2 workers relative to 1', isMinimum: true, limit: limit.ratio, unit: '×' };
    case 'most':
      return { what: limit.what, isMinimum: false, limit: limit.value, unit: limit.unit };
  }
}

function targetsOf({ line, title }: Variant): Target[] {
  return TARGETS.filter((target) => matches(target, line, title));
}

function matches({ line, work }: Target, ofLine: LineId, title: string): boolean {
  return line === ofLine && title.startsWith(work);
}

/** What a server achieved in a work; undefined if it was not measured there. */
export function medianFor(rows: readonly Row[], { title }: Variant, server: string): Sample | undefined {
  return rows.find(({ variant, target }) => variant.title === title && target === server)?.median;
}
