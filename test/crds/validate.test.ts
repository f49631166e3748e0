import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPath, parseOrcaCache, parseOrcaPrewarm } from '#crds/validate.ts';
import { badCases, goodCases, unknownCases } from './cases.ts';
import { badPrewarms, goodPrewarms, unknownPrewarms } from './prewarm-cases.ts';
import { acceptedPrewarm, prewarmWith } from './prewarm-sample.ts';
import { accepted, sampleWith } from './sample.ts';

describe('an OrcaCache', () => {
  test.for([...badCases, ...unknownCases])(
    'with $name is rejected, with the path of the problem',
    ({ changes, path }) => {
      const result = parseOrcaCache(sampleWith(changes));
      const paths = result.ok ? [] : result.problems.map((problem) => formatPath(problem.path));
      // The rule for the name is at the root, because the API server allows no rules on metadata.
      expect(paths).toContain(path === 'metadata.name' ? '' : path);
    },
  );

  test.for(goodCases)('with $name is accepted', ({ changes }) => {
    expect(parseOrcaCache(sampleWith(changes))).toMatchObject({ ok: true });
  });

  test('reports all problems at once, one line each', () => {
    const result = parseOrcaCache(
      sampleWith({
        'spec.origin.id': 'a..b',
        'spec.origin.typ': 'S3',
        'spec.origin.s3': undefined,
        'spec.chunking.size': 'large',
        'spec.metadata.ttl': '5d',
        'spec.replicas': 'three',
      }),
    );
    const lines = result.ok ? [] : result.problems.map((problem) => `${formatPath(problem.path)}: ${problem.message}`);
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(/^spec[.][^\n]+: (is|must) [^\n]+$/);
  });

  test('is not modified by validation', () => {
    const input = sampleWith({});
    const before = JSON.stringify(input);
    accepted(input);
    expect(JSON.stringify(input)).toBe(before);
  });

  test('gets defaults for omitted fields at every depth', () => {
    const { spec, status } = accepted(sampleWith({ 'spec.origin.retry.attempts': 5 }));
    expect(spec.origin.retry).toEqual({
      attempts: 5,
      backoffInitial: '100ms',
      backoffMax: '2s',
      maxTotalDuration: '5s',
    });
    expect(spec.edge.service.type).toBe('ClusterIP');
    expect(status).toEqual({ observedGeneration: -1 });
  });

  test('has an origin id that is always a single path segment', () => {
    const candidates = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '_', '-', '/', ' ', 'é'), maxLength: 70 });
    fc.assert(
      fc.property(candidates, (id) => {
        const isGood = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(id) && !id.includes('..');
        expect(parseOrcaCache(sampleWith({ 'spec.origin.id': id })).ok).toBe(isGood);
      }),
      { numRuns: 500 },
    );
  });
});

describe('an OrcaPrewarm', () => {
  test.for([...badPrewarms, ...unknownPrewarms])(
    'with $name is rejected, with the path of the problem',
    ({ changes, path }) => {
      const result = parseOrcaPrewarm(prewarmWith(changes));
      const paths = result.ok ? [] : result.problems.map((problem) => formatPath(problem.path));
      expect(paths).toContain(path === 'metadata.name' ? '' : path);
    },
  );

  test.for(goodPrewarms)('with $name is accepted', ({ changes }) => {
    expect(parseOrcaPrewarm(prewarmWith(changes))).toMatchObject({ ok: true });
  });

  test('gets defaults for omitted fields', () => {
    const { spec, status } = acceptedPrewarm(prewarmWith({}));
    expect(spec).toMatchObject({ parallelism: 32, suspend: false, timeZone: 'UTC' });
    expect(status).toEqual({ observedGeneration: -1 });
  });
});
