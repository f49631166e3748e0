import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GIB, LINE_IDS, MIB } from '#hack/bench.d/lines.ts';
import { fillParts } from '#hack/bench.d/report/fill.ts';
import { performanceParts } from '#hack/bench.d/report/page.ts';
import { parseResults, rowOf, type Results } from '#hack/bench.d/report/results.ts';
import { memoryFor, sizeFor, sizingParts, RATES_GBIT, WORKLOADS } from '#hack/bench.d/report/sizing.ts';
import type { Sample } from '#hack/bench.d/sample.ts';
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
  missesPerChunk: Number.NaN,
  duplication: 1,
  originBytes: 64,
  peakBytes: 2 ** 28,
  fromMemory: 0.25,
  refusals: 0,
};

function resultsOf(servers: readonly string[], samples: readonly Sample[] = [SAMPLE]): Results {
  return {
    format: 1,
    date: '2026-01-02T03:04',
    commit: '0123456789ab',
    isChanged: true,
    machine: { cpu: 'CPU', cores: 2, memoryBytes: 2 ** 34, kernel: '6.1', node: '26.0.0', cpuLimits: 'none' },
    options: { repeats: 1, durationS: 1, store: 'synthetic' },
    rows: VARIANTS.flatMap((variant) => {
      const names = variant.line === 'h' ? ['OrcaCache, 1 worker', 'OrcaCache, 2 workers'] : servers;
      return names.map((server) => rowOf(variant, server, samples));
    }),
    notMeasured: [],
  };
}

describe('a page with generated parts', () => {
  const page = 'text\n<!-- begin a: by npm run gen -->\nold\n<!-- end a -->\nmore\n<!-- begin b -->\n<!-- end b -->\n';
  const parts = new Map([
    ['a', 'new a\n'],
    ['b', 'new b'],
  ]);

  test('keeps its other text', () => {
    expect(fillParts(page, parts)).toBe(
      'text\n<!-- begin a: by npm run gen -->\n\nnew a\n\n<!-- end a -->\nmore\n<!-- begin b -->\n\nnew b\n\n<!-- end b -->\n',
    );
  });

  test('does not change when it is generated again', () => {
    expect(fillParts(fillParts(page, parts), parts)).toBe(fillParts(page, parts));
  });

  test.for([
    ['<!-- begin c -->\n<!-- end c -->', 'begin c'],
    ['<!-- begin a -->', 'has no end'],
    ['<!-- end a -->', 'has no begin'],
    ['<!-- begin a -->\n<!-- begin b -->', 'inside of a'],
    ['<!-- begin a -->\n<!-- end a -->\n<!-- begin a -->\n<!-- end a -->', 'twice'],
    ['<!-- begin a -->\n<!-- end a -->', 'no place for b'],
  ] as const)('is rejected: %s', ([text, problem]) => {
    expect(() => fillParts(text, parts)).toThrow(problem);
  });
});

describe('the tables of the performance page', () => {
  const parts = performanceParts(resultsOf(['OrcaCache', 'bare Node', 'nginx']));

  test('describe the machine, the targets and each line', () => {
    expect([...parts.keys()]).toEqual(['machine', 'targets', ...LINE_IDS.map((line) => `line-${line}`)]);
    expect(parts.get('machine')).toMatch(/2 × CPU[\s\S]*0123456789ab, with changes[\s\S]*2026-01-02/);
  });

  test('contain no missing number', () => {
    for (const part of parts.values()) expect(part).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('compare with bare Node, and name what is missed', () => {
    expect(parts.get('line-c')).toMatch(/OrcaCache +\| 100 µs\/request +\| 1\.00 ×/);
    expect(parts.get('targets')).toContain('1.00 ×: 100 µs/request, 100 µs/request');
    expect(performanceParts(resultsOf(['OrcaCache'])).get('targets')).toContain('not measured');
  });

  test('show the fastest and the slowest run', () => {
    const samples = [40, 50, 70].map((totalMs) => ({ ...SAMPLE, totalMs }));
    expect(performanceParts(resultsOf(['OrcaCache'], samples)).get('line-d')).toContain('50 ms (40–70)');
  });

  test('state that a line was not measured', () => {
    const empty = { ...resultsOf([]), rows: [] };
    expect(performanceParts(empty).get('line-a')).toBe('Not measured in this run.');
  });
});

describe('sizing', () => {
  test('relates cores to throughput, CPU time, utilization and scaling', () => {
    // 8 Gbit/s are 1e9 bytes/s; 1 ms of CPU for each of 1e6 bytes is one core, fully used.
    expect(sizeFor(8, 1e6, 0.001, 1)).toMatchObject({ workers: 2, replicas: 3, workersPerReplica: 1 });
    expect(sizeFor(8, 1e6, 0.001 * 0.7 * 7, 1).workers).toBe(7);
    expect(sizeFor(8, 1e6, 0.001 * 0.7 * 7, 0.5).workers).toBe(14);
  });

  test('never has fewer than three replicas or more than eight workers in one', () => {
    expect(sizeFor(0.001, 1e6, 0.001, 1)).toMatchObject({ workers: 1, replicas: 3, workersPerReplica: 1 });
    for (const gbit of RATES_GBIT) {
      const { workers, replicas, workersPerReplica } = sizeFor(gbit, 65_536, 0.0005, 0.9);
      expect(workersPerReplica).toBeLessThanOrEqual(8);
      expect(replicas * workersPerReplica).toBeGreaterThanOrEqual(workers);
    }
  });

  test('grows with the throughput', () => {
    const workers = RATES_GBIT.map((gbit) => sizeFor(gbit, GIB, 0.5, 0.95).workers);
    expect(workers).toEqual(workers.toSorted((a, b) => a - b));
  });

  test('gives each worker four of the largest chunks, and the pod at least 2 GiB', () => {
    expect([1, 2, 4].map(memoryFor)).toEqual([2 * GIB, 2 * GIB, 4 * GIB]);
    expect(memoryFor(8) / 2 / 8).toBeGreaterThanOrEqual(4 * 128 * MIB);
  });

  test('has measured work for each of its workloads', () => {
    for (const { line, work } of WORKLOADS)
      expect(VARIANTS.filter((variant) => variant.line === line && variant.title === work)).toHaveLength(1);
  });

  test('shows every workload and throughput', () => {
    const parts = sizingParts(resultsOf(['OrcaCache']));
    expect(parts.get('sizes')?.match(/Gbit\/s/g)).toHaveLength(RATES_GBIT.length);
    expect(parts.get('sizes')).toContain('0.70 (0.7 × 1.00)');
    expect(parts.get('per-core')).toMatch(/large objects, store +\| 0\.50 s\/GiB +\| 17 Gbit\/s/);
    expect(sizingParts({ ...resultsOf([]), rows: [] }).get('sizes')).toMatch(/100 Gbit\/s +\| –/);
  });
});

test('the run in the documentation has only work that still exists', () => {
  const { rows } = parseResults(readFileSync('docs/performance/run.json', 'utf8'));
  const titles = VARIANTS.map(({ title }) => title);
  expect(rows.map(({ variant }) => variant.title).filter((title) => !titles.includes(title))).toEqual([]);
});
