/** The kstatus result (Flux, Helm's --wait, kpt) of each state. */
import { describe, expect, test } from 'vitest';
import { statusOf } from '#operator/status/status.ts';
import { accepted, sampleWith } from '#test/crds/sample.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { kstatus } from './kstatus.ts';
import { NOW_MS, statusInput, STATES } from './states.ts';

describe('kstatus is', () => {
  test.for(STATES)('%s when %s', ([expected, , overrides]) => {
    const of = statusInput(overrides);
    expect(kstatus(of.cache, statusOf(of, '1', NOW_MS))).toBe(expected);
  });

  test('InProgress for a new cache that the operator has not observed', () => {
    const { status } = accepted(sampleWith({}));
    expect(status).toEqual({ observedGeneration: -1 });
    expect(kstatus(cacheFrom(MINIMAL), status)).toBe('InProgress');
  });

  test('InProgress right after a change of a ready cache', () => {
    const before = statusOf(statusInput({}), '1', NOW_MS);
    const cache = cacheFrom(MINIMAL);
    expect(kstatus({ ...cache, metadata: { ...cache.metadata, generation: 2 } }, before)).toBe('InProgress');
  });

  test('Terminating for a cache that is being deleted', () => {
    const cache = cacheFrom(MINIMAL);
    const terminating = { ...cache, metadata: { ...cache.metadata, deletionTimestamp: '2026-05-01T00:00:00Z' } };
    expect(kstatus(terminating, statusOf(statusInput({}), '1', NOW_MS))).toBe('Terminating');
  });
});
