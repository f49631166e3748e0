import { describe, expect, test } from 'vitest';
import { isSmall, type Variant } from '#hack/bench.d/lines.ts';
import { QUICK_TITLES, quickProblem, quickVariants } from '#hack/bench.d/quick.ts';
import { plotsOf } from '#hack/bench.d/report/plot.ts';
import { formatResults, parseResults, rowOf, type Results, type Row } from '#hack/bench.d/report/results.ts';
import type { Sample } from '#hack/bench.d/sample.ts';
import { targetTable } from '#hack/bench.d/table.ts';
import { limitInFigure, TARGETS, verdictsOf, verdictsOfRun } from '#hack/bench.d/targets.ts';
import { VARIANTS } from '#hack/bench.d/variants.ts';

const SAMPLE: Sample = {
  megabytesPerSecond: 500,
  requestsPerSecond: 1000,
  firstByteMs: 2,
  slowestFirstByteMs: 9,
  totalMs: 40,
  slowestMs: 80,
  cpuSecondsPerGib: 0.5,
  cpuUsPerRequest: 100,
  readPerServed: 1,
  missesPerChunk: 1.5,
  duplication: 1,
  originBytes: 64,
  peakBytes: 2 ** 28,
  fromMemory: 0.25,
  refusals: 0,
};

function variant(line: string, title: string): Variant {
  const found = VARIANTS.find((candidate) => candidate.line === line && candidate.title.startsWith(title));
  if (found === undefined) throw new Error(`line ${line} has no variant whose title starts with ${title}`);
  return found;
}

const row = (of: Variant, target: string, fields: Partial<Sample> = {}): Row =>
  rowOf(of, target, [{ ...SAMPLE, ...fields }]);

function resultsOf(rows: readonly Row[], changes: Partial<Results> = {}): Results {
  return {
    format: 1,
    date: '2026-01-02T03:04',
    commit: '0123456789ab',
    isChanged: false,
    machine: { cpu: 'CPU', cores: 2, memoryBytes: 2 ** 34, kernel: '6.1', node: '26.0.0', cpuLimits: 'cgroup v2' },
    options: { repeats: 1, durationS: 1, store: 'synthetic' },
    rows,
    notMeasured: [],
    ...changes,
  };
}

const small = variant('c', 'warm 4 KiB objects from memory');
const starved = variant('e', '30 clients');

describe('results', () => {
  test('are the same after they were written and read', () => {
    const rows = [row(small, 'OrcaCache', { readPerServed: Number.NaN, cpuUsPerRequest: 123.45 })];
    const results = resultsOf(rows, { notMeasured: [{ line: 'e', title: 'x', reason: 'y' }] });
    expect(parseResults(formatResults(results))).toEqual(results);
    expect(parseResults(formatResults(resultsOf([])))).toEqual(resultsOf([]));
  });

  test('have one line for each row and rounded numbers', () => {
    const text = formatResults(resultsOf([row(small, 'OrcaCache', { cpuUsPerRequest: 100 / 3 }), row(small, 'nginx')]));
    expect(text.split('\n').filter((line) => line.includes('"variant"'))).toHaveLength(2);
    expect(text).toContain('"cpuUsPerRequest":33.333,');
  });

  test.for([
    ['{}', 'in format 1'],
    ['{"format":2,"rows":[]}', 'in format 1'],
    ['{"format":1,"rows":[{"variant":{"line":"z"}}]}', 'unknown line z'],
    ['', 'JSON'],
  ] as const)('reject %s', ([text, problem]) => {
    expect(() => parseResults(text)).toThrow(problem);
  });
});

describe('targets', () => {
  const verdict = (rows: readonly Row[], limits: 'none' | 'cgroup v2' = 'cgroup v2') => verdictsOf(rows, limits);

  test.for([
    [159, true],
    [161, false],
  ] as const)('%f % of the CPU of bare Node: met is %s', ([cpuUsPerRequest, isMet]) => {
    const rows = [row(small, 'nginx'), row(small, 'OrcaCache', { cpuUsPerRequest }), row(small, 'bare Node')];
    expect(verdict(rows)).toMatchObject([{ line: 'c', value: cpuUsPerRequest / 100, limit: 1.6, isMet }]);
  });

  test('are missed if the bare server was not measured', () => {
    expect(verdict([row(small, 'OrcaCache')])).toMatchObject([{ value: Number.NaN, isMet: false }]);
  });

  test('limit the time and the bytes of a cold read', () => {
    const cold = variant('d', 'cold 64 MiB, 8');
    const late = verdict([row(cold, 'OrcaCache', { totalMs: 201 })]);
    expect(late).toMatchObject([
      { what: 'time', value: 201, limit: 200, unit: 'ms', isMet: false },
      { what: 'bytes from the origin', value: 1, isMet: true },
    ]);
    expect(verdict([row(cold, 'OrcaCache', { duplication: 1.001 })])[1]?.isMet).toBe(false);
  });

  test('limit the store reads that find nothing only for three replicas', () => {
    const what = (title: string) => verdict([row(variant('e', title), 'OrcaCache')]).map((one) => one.what);
    expect(what('100 clients, one cold 64 MiB object, 3')).toEqual([
      'store reads without result, per chunk',
      'bytes from the origin',
    ]);
    expect(what('100 clients, one cold 64 MiB object, 1')).toEqual(['bytes from the origin']);
  });

  test('require a minimum of two workers, by rate where CPU was limited and by CPU time elsewhere', () => {
    const two = variant('h', 'warm 4 KiB');
    const rows = [
      row(two, 'OrcaCache, 1 worker', { requestsPerSecond: 100, cpuUsPerRequest: 100 }),
      row(two, 'OrcaCache, 2 workers', { requestsPerSecond: 190, cpuUsPerRequest: 125 }),
    ];
    expect(verdict(rows)).toMatchObject([{ value: 1.9, limit: 1.8, isMinimum: true, isMet: true }]);
    expect(verdict(rows, 'none')).toMatchObject([{ value: 1.6, isMet: false }]);
  });

  test('of work that the machine cannot measure are missed', () => {
    const notMeasured = [{ line: starved.line, title: starved.title, reason: 'no permission' }];
    const verdicts = verdictsOfRun(resultsOf([], { notMeasured }));
    expect(verdicts).toMatchObject([{ work: starved.title, isMet: false }]);
    expect(targetTable(verdicts)).toMatch(/MISSED .* not measured .* ≤ 1\.00 ×/);
  });

  test('belong to work that is measured', () => {
    for (const { line, work } of TARGETS) expect(variant(line, work)).toBeDefined();
  });

  test('are shown in the unit of the figure', () => {
    const large = variant('a', 'warm 64 MiB objects from memory, 1 ');
    expect(limitInFigure(large, [row(large, 'bare Node')])).toBeCloseTo(1.15 * 0.5);
    expect(limitInFigure(small, [row(small, 'bare Node')])).toBeCloseTo(160);
    expect(limitInFigure(variant('d', 'cold 256'), [])).toBe(500);
    expect(limitInFigure(variant('f', ''), [])).toBeUndefined();
  });
});

describe('plots', () => {
  const rows = VARIANTS.flatMap((of) => ['OrcaCache', 'bare Node', 'nginx <&>'].map((server) => row(of, server)));

  test('are one picture for each line that was measured', () => {
    expect([...plotsOf({ rows }).keys()]).toEqual('abcdefghi'.split('').map((line) => `line-${line}.svg`));
    expect([...plotsOf({ rows: [row(small, 'OrcaCache')] }).keys()]).toEqual(['line-c.svg']);
  });

  test('are well-formed, self-contained and readable on light and dark pages', () => {
    for (const svg of plotsOf({ rows }).values()) {
      expect(svg.match(/<(svg|text|style|title)\b/g)?.length).toBe(svg.match(/<\/(svg|text|style|title)>/g)?.length);
      expect(svg).toContain('nginx &lt;&amp;&gt;');
      expect(svg).not.toMatch(/NaN|undefined|Infinity|href=|url\(/);
      expect(svg).toContain('prefers-color-scheme: dark');
    }
  });

  test('show the value of each server and the target', () => {
    const svg = plotsOf({ rows: [row(small, 'OrcaCache'), row(small, 'bare Node', { cpuUsPerRequest: 50 })] });
    expect(svg.get('line-c.svg')).toMatch(/>100 µs\/request<[\s\S]*>50 µs\/request<[\s\S]*class="target"/);
  });

  test('have bars in proportion to their values', () => {
    const svg = plotsOf({
      rows: [row(small, 'OrcaCache'), row(small, 'nginx', { cpuUsPerRequest: 25 })],
    }).get('line-c.svg');
    const [ours = 0, nginx = 0] = [...(svg ?? '').matchAll(/<rect class="\w+" x="210"[^>]* width="([\d.]+)"/g)].map(
      ([, width]) => Number(width),
    );
    expect(ours / nginx).toBeCloseTo(4, 1);
  });
});

describe('quick run', () => {
  const cold = variant('d', 'cold 64 MiB, 8');

  test('is fine with bytes that come from the origin once, and never for warm work', () => {
    expect(quickProblem(row(cold, 'OrcaCache'))).toBeUndefined();
    expect(quickProblem(row(small, 'OrcaCache', { originBytes: 0 }))).toBeUndefined();
    expect(quickProblem(row(variant('g', 'last'), 'OrcaCache', { originBytes: 65_536 }))).toBeUndefined();
  });

  test('reports bytes that come twice, or that are missing', () => {
    expect(quickProblem(row(cold, 'OrcaCache', { duplication: 1.125 }))).toContain('1.1250 times');
    expect(quickProblem(row(cold, 'OrcaCache', { duplication: 0.5 }))).toContain('0.5000 times');
    expect(quickProblem(row(small, 'OrcaCache', { originBytes: 4096 }))).toContain('4096 bytes of cached objects');
    expect(quickProblem(row(variant('g', 'last'), 'OrcaCache', { originBytes: 2 ** 23 }))).toContain('at most');
  });

  test('has work for each of its titles, and every kind of read', () => {
    for (const title of QUICK_TITLES)
      expect(quickVariants().filter((of) => of.title.startsWith(title))).not.toHaveLength(0);
    expect(new Set(quickVariants().map(isSmall))).toEqual(new Set([true, false]));
  });
});
