/** The states of a cache, each with the kstatus result that tools such as Flux and Helm derive from it. */
import type { CapacityReport, LiveDeployment, PodReport } from '#operator/api/observed.ts';
import type { Phase, StatusInput } from '#operator/status/status-input.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';

export type KstatusResult = 'Current' | 'InProgress' | 'Failed' | 'Terminating';

export const NOW_MS = Date.UTC(2026, 4, 1);
const progress = (reason: string, status = 'True') => [{ type: 'Progressing', status, reason }];

export function deployment(status: LiveDeployment['status'] = {}, generation = 1): LiveDeployment {
  return {
    metadata: { name: 'models', uid: 'd', resourceVersion: '1', generation },
    spec: { template: {} },
    status: { observedGeneration: generation, ...status },
  };
}

const COMPLETE = progress('NewReplicaSetAvailable');
export const GOOD = deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 3, conditions: COMPLETE });
const SECRET = 'spec.origin.s3.credentialsSecretRef: Secret ml/origin-keys';
const BLOCKED_MESSAGE = {
  missing: `${SECRET} not found; create it or change the reference`,
  malformed: `${SECRET} has no key access-key-id; add it`,
};
const blocked = (by: 'missing' | 'malformed', expired = false): Phase => ({
  kind: 'blocked',
  by,
  message: BLOCKED_MESSAGE[by],
  expired,
});

export function statusInput(overrides: Partial<StatusInput> = {}): StatusInput {
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

export function podReport(overrides: Partial<PodReport>): PodReport {
  return {
    failing: [],
    buckets: undefined,
    brokenBuckets: [],
    store: {
      breaker: 'closed',
      full: false,
      condition: 'atomic',
      message: 'atomic: exactly one of many writers wins',
      problems: [],
      versioned: false,
      hung: 0,
    },
    identityConflict: undefined,
    capacity: undefined,
    runtimeProblems: undefined,
    workers: [],
    ...overrides,
  };
}

const GIB = 2 ** 30;

export function capacityReport(overrides: Partial<CapacityReport> = {}): CapacityReport {
  return {
    state: 'ok',
    usedBytes: 14.2 * GIB,
    chunks: 1817,
    pinnedBytes: 2 * GIB,
    capacityBytes: 20 * GIB,
    foreignBytes: 0,
    oldestReadMs: NOW_MS - 86_400_000,
    lastSweepMs: NOW_MS - 60_000,
    oldestSweepMs: NOW_MS - 3_600_000,
    blocked: '',
    evictionDenied: '',
    ...overrides,
  };
}

export const STATES: readonly (readonly [KstatusResult, string, Partial<StatusInput>])[] = [
  ['Current', 'everything is ready', {}],
  ['InProgress', 'the Deployment does not exist yet', { deployment: undefined }],
  [
    'InProgress',
    'pods are being replaced',
    { deployment: deployment({ replicas: 4, updatedReplicas: 1, readyReplicas: 3, conditions: progress('X') }) },
  ],
  [
    'InProgress',
    'the Deployment controller has not observed a change yet',
    { deployment: { ...GOOD, metadata: { ...GOOD.metadata, generation: 2 } } },
  ],
  ['InProgress', 'the configuration is not proven', { proven: false }],
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
  ['InProgress', 'the cache is paused', { phase: { kind: 'paused' } }],
  ['InProgress', 'a Secret has just been found missing', { phase: blocked('missing'), upToDate: false }],
  ['Failed', 'a Secret is missing after the grace period', { phase: blocked('missing', true), upToDate: false }],
  ['Failed', 'a Secret is malformed', { phase: blocked('malformed'), upToDate: false }],
  ['InProgress', 'a Secret of a running cache was deleted', { phase: blocked('missing') }],
  ['Failed', 'a Secret of a running cache is missing after the grace period', { phase: blocked('missing', true) }],
  ['Failed', 'a child’s name is in use', { phase: { kind: 'conflict', object: 'Service x', transient: false } }],
  [
    'InProgress',
    'a child’s name is in use by an object that is being deleted',
    { phase: { kind: 'conflict', object: 'Service x', transient: true } },
  ],
  [
    'Failed',
    'the API server rejects a child because of the spec',
    { phase: { kind: 'rejected', message: 'x', permanent: true } },
  ],
  [
    'InProgress',
    'the API server rejects a child for lack of permission',
    { phase: { kind: 'rejected', message: 'x', permanent: false } },
  ],
  [
    'Current',
    'zero replicas are desired',
    {
      cache: cacheFrom(`${MINIMAL}  replicas: 0\n`),
      deployment: deployment({ conditions: COMPLETE }),
      proven: false,
    },
  ],
  [
    'Current',
    'only the origin is unreachable',
    {
      reports: [
        { pod: 'a', report: podReport({ buckets: [{ name: 'models', state: 'failed', message: 'rejected' }] }) },
      ],
    },
  ],
  [
    'Current',
    'the cachestore is over its capacity',
    {
      reports: [
        {
          pod: 'a',
          report: podReport({ capacity: capacityReport({ state: 'over_capacity', blocked: 'nothing_evictable' }) }),
        },
      ],
    },
  ],
];
