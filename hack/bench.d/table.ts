/** Formats the results as a Markdown table that is also readable as plain text. Pure. */
import { MIB, type Variant } from './lines.ts';
import type { Sample } from './sample.ts';

export interface Row {
  readonly variant: Variant;
  /** Name of the target. */
  readonly target: string;
  readonly sample: Sample;
}

interface Column {
  readonly title: string;
  cell(row: Row): string;
}

/** For smaller reads the table shows requests/s instead of bytes/s. */
const SMALL_BYTES = MIB;
const NOTHING = '–';

const isSmall = ({ work }: Variant) => (work.rangeBytes ?? work.objectBytes) < SMALL_BYTES;
const isWarm = ({ state }: Variant) => state === 'warm';

const COLUMNS: readonly Column[] = [
  { title: 'line', cell: ({ variant }) => variant.line },
  { title: 'work', cell: ({ variant }) => variant.title },
  { title: 'server', cell: ({ target }) => target },
  {
    title: 'rate',
    cell: ({ variant, sample }) => {
      if (!isWarm(variant)) return NOTHING;
      return isSmall(variant)
        ? `${sample.requestsPerSecond.toFixed(0)} req/s`
        : `${sample.megabytesPerSecond.toFixed(0)} MB/s`;
    },
  },
  { title: 'first byte', cell: ({ sample }) => ms(sample.firstByteMs) },
  { title: 'p50', cell: ({ sample }) => ms(sample.totalMs) },
  { title: 'p99', cell: ({ variant, sample }) => (variant.work.requests === 1 ? NOTHING : ms(sample.slowestMs)) },
  {
    title: 'CPU',
    cell: ({ variant, sample }) =>
      isSmall(variant) ? `${sample.cpuUsPerRequest.toFixed(0)} µs/req` : `${sample.cpuSecondsPerGib.toFixed(2)} s/GiB`,
  },
  {
    title: 'read/served',
    cell: ({ variant, sample: { readPerServed } }) =>
      isWarm(variant) && !Number.isNaN(readPerServed) ? readPerServed.toFixed(2) : NOTHING,
  },
  {
    title: 'from memory',
    cell: ({ variant, sample: { fromMemory } }) =>
      isWarm(variant) && !Number.isNaN(fromMemory) ? `${(fromMemory * 100).toFixed(0)} %` : NOTHING,
  },
  {
    title: 'origin/object',
    cell: ({ variant, sample }) =>
      isWarm(variant) || variant.work.rangeBytes !== undefined ? NOTHING : sample.duplication.toFixed(2),
  },
  {
    title: 'origin bytes',
    cell: ({ variant, sample }) => (isWarm(variant) ? NOTHING : bytes(sample.originBytes)),
  },
  { title: 'peak RSS', cell: ({ sample }) => bytes(sample.peakBytes) },
];

export function tableOf(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(({ title }) => title), ...rows.map((row) => COLUMNS.map((column) => column.cell(row)))];
  const widths = COLUMNS.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const lineOf = (line: readonly string[]) =>
    `| ${line.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [lineOf(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(lineOf)].join('\n');
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function bytes(value: number): string {
  return value < MIB ? `${(value / 1024).toFixed(0)} KiB` : `${(value / MIB).toFixed(0)} MiB`;
}
