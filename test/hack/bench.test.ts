import { describe, expect, test } from 'vitest';
import { sumOf } from '#hack/bench.d/cache-target.ts';
import { GIB, isLineId, LINE_IDS, MIB, VARIANTS, type Variant } from '#hack/bench.d/lines.ts';
import { parseReport, type LoadReport } from '#hack/bench.d/load.ts';
import { parseOptions } from '#hack/bench.d/options.ts';
import { selfTimes, type CpuProfile } from '#hack/bench.d/profile.ts';
import { median, medianOf, sampleOf, type Effort, type Sample } from '#hack/bench.d/sample.ts';
import { tableOf } from '#hack/bench.d/table.ts';

const REPORT: LoadReport = {
  seconds: 2,
  requests: 16,
  bytes: GIB,
  failures: {},
  refusals: 0,
  firstByteMs: { p50: 1.25, p99: 9, max: 10 },
  totalMs: { p50: 40, p99: 80, max: 90 },
  cpuSeconds: 0.1,
};
const EFFORT: Effort = {
  cpuSeconds: 0.5,
  peakBytes: 300 * MIB,
  storeBytes: GIB,
  originBytes: 0,
  servedFromMemory: GIB / 4,
};

function variant(line: string, title: string): Variant {
  const found = VARIANTS.find((candidate) => candidate.line === line && candidate.title.includes(title));
  if (found === undefined) throw new Error(`no work of line ${line} is called ${title}`);
  return found;
}

describe('a load report', () => {
  test('is taken as it is', () => {
    expect(parseReport(JSON.stringify(REPORT))).toEqual(REPORT);
  });

  test('with a failed request is none: what was not served must not look fast', () => {
    const text = JSON.stringify({ ...REPORT, failures: { 'status 500': 2 } });
    expect(() => parseReport(text)).toThrow('2× status 500');
  });

  test('of no request is none', () => {
    expect(() => parseReport(JSON.stringify({ ...REPORT, requests: 0 }))).toThrow('no request');
  });
});

describe('a sample', () => {
  const { work } = variant('a', 'from the store, 4');

  test('puts effort in relation to what was served', () => {
    expect(sampleOf(work, REPORT, EFFORT)).toMatchObject({
      megabytesPerSecond: GIB / 2e6,
      requestsPerSecond: 8,
      cpuSecondsPerGib: 0.5,
      cpuUsPerRequest: 31_250,
      readPerServed: 1,
      duplication: 0,
      fromMemory: 0.25,
    });
  });

  test('counts what the origin gave against the objects, however many clients read them', () => {
    const crowd = variant('e', '1 replica').work;
    const effort = { ...EFFORT, originBytes: 96 * MIB };
    expect(sampleOf(crowd, { ...REPORT, bytes: 100 * 64 * MIB }, effort).duplication).toBe(1.5);
  });

  test('is joined with others by the median of each number', () => {
    const of = (cpuSeconds: number, peakBytes: number): Sample =>
      sampleOf(work, REPORT, { ...EFFORT, cpuSeconds, peakBytes });
    const joined = medianOf([of(0.9, 1), of(0.1, 3), of(0.5, 2)]);
    expect(joined).toMatchObject({ cpuSecondsPerGib: 0.5, peakBytes: 2 });
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('the table', () => {
  const row = (of: Variant, target: string) => ({ variant: of, target, sample: sampleOf(of.work, REPORT, EFFORT) });

  test('has one line for each target, and columns that line up', () => {
    const lines = tableOf([row(variant('a', 'store, 4'), 'OrcaCache'), row(variant('c', 'memory'), 'nginx')]).split(
      '\n',
    );
    expect(lines).toHaveLength(4);
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
    expect(lines[0]).toMatch(/^\| line +\| work +\| who/);
  });

  test('shows bytes a second for long reads and requests a second for short ones', () => {
    expect(tableOf([row(variant('a', 'store, 4'), 'OrcaCache')])).toMatch(/ 537 MB\/s .* 0\.50 s\/GiB/);
    expect(tableOf([row(variant('c', 'memory'), 'OrcaCache')])).toMatch(/ 8 req\/s .* 31250 µs\/req/);
  });
});

describe('a CPU profile', () => {
  const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('sign', 'file:///home/somebody/orca/cache/wire/s3/sigv4.ts') },
      { id: 3, callFrame: frame('(program)') },
    ],
    samples: [1, 2, 3, 2],
    timeDeltas: [5000, 2000, 1000, 1000],
  };

  test('names functions by their own time, and counts no idling', () => {
    expect(selfTimes(profile, 5)).toEqual([
      { place: 'sign cache/wire/s3/sigv4.ts:10', milliseconds: 3, share: 0.75 },
      { place: '(program)', milliseconds: 1, share: 0.25 },
    ]);
    expect(selfTimes(profile, 1)).toHaveLength(1);
  });
});

test('a metric is summed over its labels, and told from others that begin alike', () => {
  const page = [
    '# TYPE orca_served_bytes_total counter',
    'orca_served_bytes_total{source="memory"} 5',
    'orca_served_bytes_total{source="store"} 7',
    'orca_served_bytes_total_of_others 11',
    'orca_fills_running 2',
  ].join('\n');
  expect(sumOf(page, 'orca_served_bytes_total', '')).toBe(12);
  expect(sumOf(page, 'orca_served_bytes_total', 'source="memory"')).toBe(5);
  expect(sumOf(page, 'orca_fills_running', '')).toBe(2);
});

describe('the command line', () => {
  test('asks for all lines, or for those that are named', () => {
    expect(parseOptions([]).lines).toEqual(LINE_IDS);
    expect(parseOptions(['--profile', 'a', 'c'])).toMatchObject({ lines: ['a', 'c'], profile: true });
  });

  test.for([['z'], ['--repeats', '0'], ['--seconds', 'x'], ['--store', 'disk']])('is refused: %s', (args) => {
    expect(() => parseOptions(args)).toThrow(RangeError);
  });

  test('every line has work to measure', () => {
    expect(new Set(VARIANTS.map(({ line }) => line))).toEqual(new Set(LINE_IDS.filter(isLineId)));
  });
});
