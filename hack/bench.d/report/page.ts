/** The tables of docs/performance.md. Pure. */
import { isSmall, LINE_IDS, MIB, type LineId } from '#hack/bench.d/lines.ts';
import type { Sample } from '#hack/bench.d/sample.ts';
import { alignedTable, bytes, ms, withUnit } from '#hack/bench.d/table.ts';
import { BARE, medianFor, OURS, verdictsOfRun, workersName, type Verdict } from '#hack/bench.d/targets.ts';
import { figureOf, formatFigure, formatNumber, LINE_TITLES } from './figures.ts';
import { plotName } from './plot.ts';
import type { Results, Row } from './results.ts';

const NOTHING = '–';

/** Name of the part → Markdown. */
export function performanceParts(results: Results): Map<string, string> {
  const byLine = Map.groupBy(results.rows, ({ variant }) => variant.line);
  return new Map([
    ['machine', machinePart(results)],
    ['targets', targetsPart(results)],
    ...LINE_IDS.map((line) => [`line-${line}`, linePart(line, byLine.get(line) ?? [])] as const),
  ]);
}

function machinePart({ machine, options, commit, isChanged, date }: Results): string {
  const limits =
    machine.cpuLimits === 'none'
      ? 'none: line h compares CPU times, and replicas with little CPU were not measured'
      : machine.cpuLimits;
  return alignedTable([
    ['', ''],
    ['CPU', `${machine.cores} × ${machine.cpu}`],
    ['memory', `${(machine.memoryBytes / 1024 ** 3).toFixed(0)} GiB`],
    ['kernel', `Linux ${machine.kernel}`],
    ['Node', machine.node],
    ['nginx', machine.nginx ?? 'not installed'],
    ['limits of CPU', limits],
    ['commit', `${commit ?? 'unknown'}${isChanged ? ', with changes' : ''}`],
    ['date', date.slice(0, 10)],
    ['runs', `medians of ${options.repeats}, ${options.durationS} s each; store: ${options.store}`],
  ]);
}

function targetsPart(results: Results): string {
  const verdicts = verdictsOfRun(results);
  const isMet = verdicts.filter((verdict) => verdict.isMet).length;
  const cellsOf = (verdict: Verdict) => [
    verdict.line,
    verdict.work,
    verdict.what,
    measuredOf(verdict, results.rows),
    `${verdict.isMinimum ? '≥' : '≤'} ${withUnit(verdict.limit, verdict.unit)}`,
    verdict.isMet ? 'met' : Number.isNaN(verdict.value) ? 'not measured' : '**missed**',
  ];
  const table = alignedTable([['line', 'work', 'what', 'measured', 'target', ''], ...verdicts.map(cellsOf)]);
  return `${isMet} of ${verdicts.length} targets are met.\n\n${table}`;
}

/** With the CPU times behind a ratio. */
function measuredOf({ work, value, unit, what }: Verdict, rows: readonly Row[]): string {
  const text = Number.isNaN(value) ? NOTHING : withUnit(value, unit);
  if (!what.endsWith(BARE)) return text;
  const of = (name: string) => rows.find(({ variant, target }) => variant.title === work && target === name);
  const [ours, bare] = [of(OURS), of(BARE)];
  if (ours === undefined || bare === undefined) return text;
  const [own, its] = [ours, bare].map(({ variant, median }) => {
    const figure = figureOf(variant);
    return formatFigure(figure, figure.of(median));
  });
  return `${text}: ${own}, ${its}`;
}

interface Column {
  readonly title: string;
  cell(row: Row, all: readonly Row[]): string;
}

const of = (title: string, cell: (sample: Sample, row: Row) => string): Column => ({
  title,
  cell: (row) => cell(row.median, row),
});
const unlessNaN = (value: number, format: (value: number) => string) => (Number.isNaN(value) ? NOTHING : format(value));

/** The number by which the line is judged, with the fastest and the slowest run. */
const FIGURE: Column = {
  title: 'figure',
  cell: ({ variant, median, samples }) => {
    const figure = figureOf(variant);
    const text = formatFigure(figure, figure.of(median));
    if (samples.length === 1) return text;
    const values = samples.map((sample) => figure.of(sample));
    const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => formatNumber(value, figure.digits));
    return `${text} (${least}–${most})`;
  },
};
const RELATIVE: Column = {
  title: 'relative to bare Node',
  cell: ({ variant, median }, all) => {
    const bare = medianFor(all, variant, BARE);
    return bare === undefined ? NOTHING : `${(median.cpuUsPerRequest / bare.cpuUsPerRequest).toFixed(2)} ×`;
  },
};
const SCALING: Column = {
  title: 'relative to 1 worker',
  cell: ({ variant, target, median }, all) => {
    const [server = ''] = target.split(', ');
    const one = medianFor(all, variant, workersName(server, 1));
    return one === undefined ? NOTHING : `${(median.requestsPerSecond / one.requestsPerSecond).toFixed(2)} ×`;
  },
};
const RATE = of('rate', (sample, { variant }) =>
  isSmall(variant)
    ? `${formatNumber(sample.requestsPerSecond, 0)} req/s`
    : `${formatNumber(sample.megabytesPerSecond, 0)} MB/s`,
);
const CPU = of('CPU', (sample, { variant }) =>
  isSmall(variant) ? `${sample.cpuUsPerRequest.toFixed(0)} µs/req` : `${sample.cpuSecondsPerGib.toFixed(2)} s/GiB`,
);
const FIRST = of('first byte', (sample) => ms(sample.firstByteMs));
const MEDIAN = of('p50', (sample) => ms(sample.totalMs));
const SLOWEST = of('p99', (sample) => ms(sample.slowestMs));
const MEMORY = of('from memory', (sample) => unlessNaN(sample.fromMemory, (share) => `${(share * 100).toFixed(0)} %`));
const READ = of('read per served byte', (sample) => unlessNaN(sample.readPerServed, (ratio) => ratio.toFixed(2)));
const ORIGIN = of('origin', (sample) => `${sample.duplication.toFixed(2)} ×`);
const ORIGIN_BYTES = of('bytes from the origin', (sample) => bytes(sample.originBytes));
const MISSES = of('store reads without result', (sample) =>
  unlessNaN(sample.missesPerChunk, (count) => `${count.toFixed(1)} per chunk`),
);
const REFUSED = of('503 responses', (sample) => String(Math.round(sample.refusals)));
const PEAK = of('peak memory', (sample) => `${(sample.peakBytes / MIB).toFixed(0)} MiB`);

const WARM = [FIGURE, RELATIVE, RATE, MEDIAN, SLOWEST, MEMORY, READ];
const COLUMNS: Readonly<Record<LineId, readonly Column[]>> = {
  a: [FIGURE, RELATIVE, RATE, FIRST, MEMORY, READ],
  b: WARM,
  c: WARM,
  d: [FIGURE, FIRST, ORIGIN],
  e: [FIGURE, MEDIAN, CPU, ORIGIN, MISSES],
  f: [FIGURE, REFUSED, ORIGIN, CPU],
  g: [FIGURE, ORIGIN_BYTES],
  h: [FIGURE, SCALING, CPU, PEAK],
  i: [FIGURE, FIRST, ORIGIN],
};

function linePart(line: LineId, rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return 'Not measured in this run.';
  const [figure, ...others] = COLUMNS[line];
  const columns = figure === undefined ? [] : [{ ...figure, title: figureOf(first.variant).name }, ...others];
  const table = alignedTable([
    ['work', 'server', ...columns.map(({ title }) => title)],
    ...rows.map((row) => [row.variant.title, row.target, ...columns.map((column) => column.cell(row, rows))]),
  ]);
  return `![${LINE_TITLES[line]}: ${figureOf(first.variant).name}](performance/${plotName(line)})\n\n${table}`;
}
