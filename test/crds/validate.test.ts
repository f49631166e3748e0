import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { formatPath, parseOrcaCache } from '#crds/validate.ts';
import { badCases, goodCases, unknownCases } from './cases.ts';
import { accepted, sampleWith } from './sample.ts';

describe('an OrcaCache', () => {
  test.for([...badCases, ...unknownCases])('with $name is refused and told where', ({ changes, path }) => {
    const verdict = parseOrcaCache(sampleWith(changes));
    const paths = verdict.ok ? [] : verdict.problems.map((mistake) => formatPath(mistake.path));
    // The rule about the name stands at the root, where the API server can't give it a path.
    expect(paths).toContain(path === 'metadata.name' ? '' : path);
  });

  test.for(goodCases)('with $name is accepted', ({ changes }) => {
    expect(parseOrcaCache(sampleWith(changes))).toMatchObject({ ok: true });
  });

  test('gets every mistake told at once, one line each', () => {
    const verdict = parseOrcaCache(
      sampleWith({
        'spec.origin.id': 'a..b',
        'spec.origin.typ': 'S3',
        'spec.origin.s3': undefined,
        'spec.chunking.size': 'large',
        'spec.metadata.ttl': '5d',
        'spec.replicas': 'three',
      }),
    );
    const lines = verdict.ok
      ? []
      : verdict.problems.map((mistake) => `${formatPath(mistake.path)}: ${mistake.message}`);
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(/^spec[.][^\n]+: (is|must) [^\n]+$/);
  });

  test('is not changed by being validated', () => {
    const input = sampleWith({});
    const before = JSON.stringify(input);
    accepted(input);
    expect(JSON.stringify(input)).toBe(before);
  });

  test('gets the defaults of members that are left out, at every depth', () => {
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

  test('has an origin id that is one path segment, whatever is tried', () => {
    const tried = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '_', '-', '/', ' ', 'é'), maxLength: 70 });
    fc.assert(
      fc.property(tried, (id) => {
        const isGood = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(id) && !id.includes('..');
        expect(parseOrcaCache(sampleWith({ 'spec.origin.id': id })).ok).toBe(isGood);
      }),
      { numRuns: 500 },
    );
  });
});
