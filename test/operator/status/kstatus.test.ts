/** What tools that speak kstatus (Flux, Helm's --wait, kpt) make of each state. Their rules, as far as they reach ours. */
import { describe, expect, test } from 'vitest';
import type { OrcaCache, OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import { statusOf } from '#operator/status/status.ts';
import { accepted, sampleWith } from '#test/crds/sample.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { NOW_MS, statusInput, STATES, type KstatusResult } from './states.ts';

/** In the order of sigs.k8s.io/cli-utils: deletion, generation, Reconciling, Stalled, and then Ready. */
function kstatus(cache: OrcaCache, status: OrcaCacheStatus | undefined): KstatusResult {
  const { generation, deletionTimestamp } = cache.metadata;
  if (deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== generation) return 'InProgress';
  const is = (type: string): string | undefined => status?.conditions?.find((one) => one.type === type)?.status;
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  return is('Ready') === undefined || is('Ready') === 'True' ? 'Current' : 'InProgress';
}

describe('kstatus says', () => {
  test.for(STATES)('%s when %s', ([expected, , overrides]) => {
    const of = statusInput(overrides);
    expect(kstatus(of.cache, statusOf(of, '1', NOW_MS))).toBe(expected);
  });

  test('InProgress from the first moment on, before the operator has seen the cache', () => {
    const { status } = accepted(sampleWith({}));
    expect(status).toEqual({ observedGeneration: -1 });
    expect(kstatus(cacheFrom(MINIMAL), status)).toBe('InProgress');
  });

  test('InProgress right after a change of a cache that was ready', () => {
    const before = statusOf(statusInput({}), '1', NOW_MS);
    const cache = cacheFrom(MINIMAL);
    expect(kstatus({ ...cache, metadata: { ...cache.metadata, generation: 2 } }, before)).toBe('InProgress');
  });

  test('Terminating of what is being deleted', () => {
    const cache = cacheFrom(MINIMAL);
    const going = { ...cache, metadata: { ...cache.metadata, deletionTimestamp: '2026-05-01T00:00:00Z' } };
    expect(kstatus(going, statusOf(statusInput({}), '1', NOW_MS))).toBe('Terminating');
  });
});
