/** What tools that speak kstatus (Flux, Helm's --wait, kpt) make of each state. Their rules, as far as they reach ours. */
import { describe, expect, test } from 'vitest';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { OrcaCache, OrcaCacheStatus } from '#operator/api/orca-cache.ts';
import type { Phase, Situation } from '#operator/status/situation.ts';
import { statusOf } from '#operator/status/status.ts';
import { accepted, sampleWith } from '#test/crds/sample.ts';
import { cacheFrom, MINIMAL } from '../caches.ts';

type Verdict = 'Current' | 'InProgress' | 'Failed' | 'Terminating';

/** In the order of sigs.k8s.io/cli-utils: deletion, generation, Reconciling, Stalled, and then Ready. */
function kstatus(cache: OrcaCache, status: OrcaCacheStatus | undefined): Verdict {
  const { generation, deletionTimestamp } = cache.metadata;
  if (deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== generation) return 'InProgress';
  const is = (type: string): string | undefined => status?.conditions?.find((one) => one.type === type)?.status;
  if (is('Reconciling') === 'True') return 'InProgress';
  if (is('Stalled') === 'True') return 'Failed';
  return is('Ready') === undefined || is('Ready') === 'True' ? 'Current' : 'InProgress';
}

const NOW_MS = Date.UTC(2026, 4, 1);
const progress = (reason: string, status = 'True') => [{ type: 'Progressing', status, reason }];

function deployment(status: LiveDeployment['status']): LiveDeployment {
  return {
    metadata: { name: 'models', uid: 'd', resourceVersion: '1', generation: 1 },
    spec: { template: {} },
    status: { observedGeneration: 1, ...status },
  };
}

const COMPLETE = progress('NewReplicaSetAvailable');
const GOOD = deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 3, conditions: COMPLETE });
const blocked = (by: 'missing' | 'malformed', expired = false): Phase => ({
  kind: 'blocked',
  by,
  message: 'x',
  expired,
});

function situation(overrides: Partial<Situation>): Situation {
  return {
    cache: cacheFrom(MINIMAL),
    phase: { kind: 'applied' },
    deployment: GOOD,
    upToDate: true,
    configHash: 'c0ffee00',
    proven: true,
    podMessage: undefined,
    reports: [],
    ...overrides,
  };
}

describe('kstatus says', () => {
  test.for<readonly [Verdict, string, Partial<Situation>]>([
    ['Current', 'all is well', {}],
    ['InProgress', 'there is no Deployment yet', { deployment: undefined }],
    [
      'InProgress',
      'pods are on their way',
      { deployment: deployment({ replicas: 4, updatedReplicas: 1, readyReplicas: 3, conditions: progress('X') }) },
    ],
    [
      'InProgress',
      'the Deployment was changed a moment ago',
      { deployment: { ...GOOD, metadata: { ...GOOD.metadata, generation: 2 } } },
    ],
    ['InProgress', 'nobody has proven the configuration', { proven: false }],
    [
      'InProgress',
      'a pod is lost',
      { deployment: deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 2, conditions: COMPLETE }) },
    ],
    [
      'Failed',
      'the rollout is past its deadline',
      {
        deployment: deployment({
          replicas: 4,
          updatedReplicas: 1,
          readyReplicas: 3,
          conditions: progress('ProgressDeadlineExceeded', 'False'),
        }),
      },
    ],
    ['InProgress', 'it is paused', { phase: { kind: 'paused' } }],
    ['InProgress', 'a Secret is missing for a moment', { phase: blocked('missing'), upToDate: false }],
    ['Failed', 'a Secret is missing for long', { phase: blocked('missing', true), upToDate: false }],
    ['Failed', 'a Secret is malformed', { phase: blocked('malformed'), upToDate: false }],
    ['InProgress', 'a Secret goes from under a running cache', { phase: blocked('missing') }],
    ['Failed', 'and does not come back', { phase: blocked('missing', true) }],
    ['Failed', 'a name is taken', { phase: { kind: 'conflict', object: 'Service x', passing: false } }],
    ['InProgress', 'a name is about to be free', { phase: { kind: 'conflict', object: 'Service x', passing: true } }],
    ['Failed', 'the API server refuses the spec', { phase: { kind: 'refused', message: 'x', final: true } }],
    ['InProgress', 'the API server refuses us', { phase: { kind: 'refused', message: 'x', final: false } }],
    [
      'Current',
      'nothing is wanted and nothing is there',
      {
        cache: cacheFrom(`${MINIMAL}  replicas: 0\n`),
        deployment: deployment({ conditions: COMPLETE }),
        proven: false,
      },
    ],
    [
      'Current',
      'only the origin is away',
      {
        reports: [
          {
            pod: 'a',
            report: {
              failing: [],
              buckets: [{ name: 'models', state: 'failed', message: 'refused' }],
              brokenBuckets: [],
              store: undefined,
              identityConflict: undefined,
            },
          },
        ],
      },
    ],
  ])('%s when %s', ([expected, , overrides]) => {
    const of = situation(overrides);
    expect(kstatus(of.cache, statusOf(of, '1', NOW_MS))).toBe(expected);
  });

  test('InProgress from the first moment on, before the operator has seen the cache', () => {
    const { status } = accepted(sampleWith({}));
    expect(status).toEqual({ observedGeneration: -1 });
    expect(kstatus(cacheFrom(MINIMAL), status)).toBe('InProgress');
  });

  test('InProgress right after a change of a cache that was ready', () => {
    const before = statusOf(situation({}), '1', NOW_MS);
    const cache = cacheFrom(MINIMAL);
    expect(kstatus({ ...cache, metadata: { ...cache.metadata, generation: 2 } }, before)).toBe('InProgress');
  });

  test('Terminating of what is being deleted', () => {
    const cache = cacheFrom(MINIMAL);
    const going = { ...cache, metadata: { ...cache.metadata, deletionTimestamp: '2026-05-01T00:00:00Z' } };
    expect(kstatus(going, statusOf(situation({}), '1', NOW_MS))).toBe('Terminating');
  });
});
