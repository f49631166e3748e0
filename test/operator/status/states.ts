/** The states that a cache may be in, each with what tools that speak kstatus have to make of it. */
import type { LiveDeployment } from '#operator/api/observed.ts';
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
const blocked = (by: 'missing' | 'malformed', expired = false): Phase => ({
  kind: 'blocked',
  by,
  message: 'x',
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

export const STATES: readonly (readonly [KstatusResult, string, Partial<StatusInput>])[] = [
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
            runtimeProblems: undefined,
          },
        },
      ],
    },
  ],
];
