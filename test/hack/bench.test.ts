import { describe, expect, test } from 'vitest';
import { sumOf } from '#hack/bench.d/cache-target.ts';
import { GIB, isLineId, LINE_IDS, MIB, type Variant } from '#hack/bench.d/lines.ts';
import { parseReport, type LoadReport } from '#hack/bench.d/load.ts';
import { parseOptions } from '#hack/bench.d/options.ts';
import { selfTimes, type CpuProfile } from '#hack/bench.d/profile.ts';
import { median, medianOf, sampleOf, type ResourceUse, type Sample } from '#hack/bench.d/sample.ts';
import { tableOf } from '#hack/bench.d/table.ts';
import { VARIANTS } from '#hack/bench.d/variants.ts';

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
const USE: ResourceUse = {
  cpuSeconds: 0.5,
  peakBytes: 300 * MIB,
  storeBytes: GIB,
  storeMisses: 16,
  originBytes: 0,
  servedFromMemory: GIB / 4,
};

function variant(line: string, title: string): Variant {
  const found = VARIANTS.find((candidate) => candidate.line === line && candidate.title.includes(title));
  if (found === undefined) throw new Error(`line ${line} has no variant with ${title} in its title`);
  return found;
}

describe('load report', () => {
  test('is parsed', () => {
    expect(parseReport(JSON.stringify(REPORT))).toEqual(REPORT);
  });

  test('is rejected if a request failed', () => {
    const text = JSON.stringify({ ...REPORT, failures: { 'status 500': 2 } });
    expect(() => parseReport(text)).toThrow('2× status 500');
  });

  test('is rejected if it contains no request', () => {
    expect(() => parseReport(JSON.stringify({ ...REPORT, requests: 0 }))).toThrow('no request');
  });
});

describe('sample', () => {
  const large = variant('a', 'from the store, 4');

  test('relates resource use to the served bytes and requests', () => {
    expect(sampleOf(large, REPORT, USE)).toMatchObject({
      megabytesPerSecond: GIB / 2e6,
      requestsPerSecond: 8,
      cpuSecondsPerGib: 0.5,
      cpuUsPerRequest: 31_250,
      readPerServed: 1,
      missesPerChunk: 16 / (32 * 8),
      duplication: 0,
      fromMemory: 0.25,
    });
  });

  test('computes duplication from origin bytes and object sizes, independent of the number of clients', () => {
    const burst = variant('e', '1 replica');
    const use = { ...USE, originBytes: 96 * MIB };
    expect(sampleOf(burst, { ...REPORT, bytes: 100 * 64 * MIB }, use).duplication).toBe(1.5);
  });

  test('is combined with others by the median of each field', () => {
    const of = (cpuSeconds: number, peakBytes: number): Sample =>
      sampleOf(large, REPORT, { ...USE, cpuSeconds, peakBytes });
    const combined = medianOf([of(0.9, 1), of(0.1, 3), of(0.5, 2)]);
    expect(combined).toMatchObject({ cpuSecondsPerGib: 0.5, peakBytes: 2 });
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('table', () => {
  const row = (of: Variant, target: string) => ({ variant: of, target, median: sampleOf(of, REPORT, USE) });

  test('has one line for each target and aligned columns', () => {
    const lines = tableOf([row(variant('a', 'store, 4'), 'OrcaCache'), row(variant('c', 'memory'), 'nginx')]).split(
      '\n',
    );
    expect(lines).toHaveLength(4);
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
    expect(lines[0]).toMatch(/^\| line +\| work +\| server/);
  });

  test('shows bytes/s for large reads and requests/s for small ones', () => {
    expect(tableOf([row(variant('a', 'store, 4'), 'OrcaCache')])).toMatch(/ 537 MB\/s .* 0\.50 s\/GiB/);
    expect(tableOf([row(variant('c', 'memory'), 'OrcaCache')])).toMatch(/ 8 req\/s .* 31250 µs\/req/);
  });
});

describe('CPU profile', () => {
  const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('sign', 'file:///home/user/orca/cache/wire/s3/sigv4.ts') },
      { id: 3, callFrame: frame('(program)') },
    ],
    samples: [1, 2, 3, 2],
    timeDeltas: [5000, 2000, 1000, 1000],
  };

  test('lists functions by self time without idle time', () => {
    expect(selfTimes(profile, 5)).toEqual([
      { place: 'sign cache/wire/s3/sigv4.ts:10', milliseconds: 3, share: 0.75 },
      { place: '(program)', milliseconds: 1, share: 0.25 },
    ]);
    expect(selfTimes(profile, 1)).toHaveLength(1);
  });
});

test('sumOf adds the samples of a metric, but not those of a longer name', () => {
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

describe('command line', () => {
  test('selects all lines by default, or the named ones', () => {
    expect(parseOptions([]).lines).toEqual(LINE_IDS);
    expect(parseOptions(['--profile', 'a', 'c'])).toMatchObject({ lines: ['a', 'c'], profile: true });
  });

  test.for([['z'], ['--repeats', '0'], ['--seconds', 'x'], ['--store', 'disk']])('rejects %s', (args) => {
    expect(() => parseOptions(args)).toThrow(RangeError);
  });

  test('has a variant for every line', () => {
    expect(new Set(VARIANTS.map(({ line }) => line))).toEqual(new Set(LINE_IDS.filter(isLineId)));
  });
});
