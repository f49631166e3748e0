/** Formats the results as a Markdown table that is also readable as plain text. Pure. */
import { isSmall, MIB, type Variant } from './lines.ts';
import type { Sample } from './sample.ts';
import type { Verdict } from './targets.ts';

export interface TableRow {
  readonly variant: Variant;
  /** Name of the target. */
  readonly target: string;
  readonly median: Sample;
}

interface Column {
  readonly title: string;
  cell(row: TableRow): string;
}

const NOTHING = '–';

const isWarm = ({ state }: Variant) => state === 'warm';

const COLUMNS: readonly Column[] = [
  { title: 'line', cell: ({ variant }) => variant.line },
  { title: 'work', cell: ({ variant }) => variant.title },
  { title: 'server', cell: ({ target }) => target },
  {
    title: 'rate',
    cell: ({ variant, median }) => {
      if (!isWarm(variant)) return NOTHING;
      return isSmall(variant)
        ? `${median.requestsPerSecond.toFixed(0)} req/s`
        : `${median.megabytesPerSecond.toFixed(0)} MB/s`;
    },
  },
  { title: 'first byte', cell: ({ median }) => ms(median.firstByteMs) },
  {
    title: 'slowest first',
    cell: ({ variant, median }) => (variant.work.requests === 1 ? NOTHING : ms(median.slowestFirstByteMs)),
  },
  { title: 'p50', cell: ({ median }) => ms(median.totalMs) },
  { title: 'p99', cell: ({ variant, median }) => (variant.work.requests === 1 ? NOTHING : ms(median.slowestMs)) },
  {
    title: 'CPU',
    cell: ({ variant, median }) =>
      isSmall(variant) ? `${median.cpuUsPerRequest.toFixed(0)} µs/req` : `${median.cpuSecondsPerGib.toFixed(2)} s/GiB`,
  },
  {
    title: 'read/served',
    cell: ({ variant, median: { readPerServed } }) =>
      isWarm(variant) && !Number.isNaN(readPerServed) ? readPerServed.toFixed(2) : NOTHING,
  },
  {
    title: 'from memory',
    cell: ({ variant, median: { fromMemory } }) =>
      isWarm(variant) && !Number.isNaN(fromMemory) ? `${(fromMemory * 100).toFixed(0)} %` : NOTHING,
  },
  {
    title: 'origin/object',
    cell: ({ variant, median }) =>
      isWarm(variant) || variant.work.rangeBytes !== undefined ? NOTHING : median.duplication.toFixed(2),
  },
  {
    title: 'origin bytes',
    cell: ({ variant, median }) => (isWarm(variant) ? NOTHING : bytes(median.originBytes)),
  },
  {
    title: 'misses/chunk',
    cell: ({ variant, median: { missesPerChunk } }) =>
      isWarm(variant) || Number.isNaN(missesPerChunk) ? NOTHING : missesPerChunk.toFixed(1),
  },
  { title: 'peak RSS', cell: ({ median }) => bytes(median.peakBytes) },
];

export function tableOf(rows: readonly TableRow[]): string {
  return alignedTable([
    COLUMNS.map(({ title }) => title),
    ...rows.map((row) => COLUMNS.map((column) => column.cell(row))),
  ]);
}

/** What `--check` prints. */
export function targetTable(verdicts: readonly Verdict[]): string {
  return alignedTable([
    ['', 'line', 'work', 'what', 'measured', 'target'],
    ...verdicts.map((verdict) => [
      verdict.isMet ? 'met' : 'MISSED',
      verdict.line,
      verdict.work,
      verdict.what,
      Number.isNaN(verdict.value) ? 'not measured' : withUnit(verdict.value, verdict.unit),
      `${verdict.isMinimum ? '≥' : '≤'} ${withUnit(verdict.limit, verdict.unit)}`,
    ]),
  ]);
}

/** Columns have the same width in all lines. */
export function alignedTable(cells: readonly (readonly string[])[]): string {
  const [head = [], ...body] = cells;
  const widths = head.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0), 1));
  const lineOf = (line: readonly string[]) =>
    `| ${line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [lineOf(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(lineOf)].join('\n');
}

export function withUnit(value: number, unit: Verdict['unit']): string {
  switch (unit) {
    case 'ms':
      return `${value.toFixed(0)} ms`;
    case '×':
      return `${value.toFixed(2)} ×`;
    case '':
      return value.toFixed(1);
  }
}

export function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

export function bytes(value: number): string {
  return value < MIB ? `${(value / 1024).toFixed(0)} KiB` : `${(value / MIB).toFixed(0)} MiB`;
}
