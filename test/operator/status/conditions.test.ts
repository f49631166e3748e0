import { describe, expect, test } from 'vitest';
import type { LiveDeployment } from '#operator/api/observed.ts';
import type { Condition, OrcaCache } from '#operator/api/orca-cache.ts';
import { conditionsOf } from '#operator/status/conditions.ts';
import { ready } from '#operator/status/ready.ts';
import { reconciling } from '#operator/status/reconciling.ts';
import { rolloutOf } from '#operator/status/rollout.ts';
import { stalled } from '#operator/status/stalled.ts';
import { statusOf } from '#operator/status/status.ts';
import type { Phase, StatusInput, ConditionValue } from '#operator/status/status-input.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { deployment, GOOD, statusInput } from './states.ts';

const NOW_MS = Date.UTC(2026, 4, 1, 12, 0, 0, 123);

const COMPLETE = { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' };
const UNDERWAY = { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated' };
const OVERDUE = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' };
const summary = ({ status, reason }: ConditionValue): string => `${status} ${reason}`;
const all = (of: StatusInput): string[] => [ready(of), reconciling(of), stalled(of)].map(summary);

describe('Ready, Reconciling and Stalled', () => {
  const missing: Phase = { kind: 'blocked', by: 'missing', message: 'Secret keys does not exist', expired: false };
  test.for<readonly [string, Partial<StatusInput>, readonly string[]]>([
    ['everything is ready', {}, ['True ReplicasReady', 'False ReplicasReady', 'False ReplicasReady']],
    [
      'the Deployment does not exist yet',
      { deployment: undefined },
      ['False Progressing', 'True Progressing', 'False Progressing'],
    ],
    [
      'the configuration is not proven',
      { proven: false },
      ['False Progressing', 'True Progressing', 'False ReplicasReady'],
    ],
    [
      'a pod is lost',
      { deployment: deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 2, conditions: [COMPLETE] }) },
      ['False InsufficientReplicas', 'False ReplicasReady', 'False ReplicasReady'],
    ],
    [
      'the rollout is past its deadline',
      { deployment: deployment({ replicas: 4, updatedReplicas: 1, readyReplicas: 3, conditions: [OVERDUE] }) },
      ['False RolloutFailed', 'False RolloutFailed', 'True RolloutFailed'],
    ],
    ['the cache is paused', { phase: { kind: 'paused' } }, ['Unknown Paused', 'False Paused', 'False Paused']],
    [
      'a Secret has just been found missing',
      { phase: missing, upToDate: false },
      ['False WaitingForSecret', 'True WaitingForSecret', 'False WaitingForSecret'],
    ],
    [
      'a Secret is missing after the grace period',
      { phase: { ...missing, expired: true }, upToDate: false },
      ['False SecretNotFound', 'False SecretNotFound', 'True SecretNotFound'],
    ],
    [
      'a Secret is malformed',
      { phase: { ...missing, by: 'malformed' }, upToDate: false },
      ['False SecretMalformed', 'False SecretMalformed', 'True SecretMalformed'],
    ],
    [
      'a Secret of an up-to-date cache was deleted',
      { phase: missing },
      ['True ReplicasReady', 'True WaitingForSecret', 'False WaitingForSecret'],
    ],
    [
      'a child’s name is in use',
      { phase: { kind: 'conflict', object: 'Service models', transient: false } },
      ['False NameConflict', 'False NameConflict', 'True NameConflict'],
    ],
    [
      'a child’s name is in use by an object that is being deleted',
      { phase: { kind: 'conflict', object: 'Service models', transient: true } },
      ['False NameConflict', 'True Progressing', 'False Progressing'],
    ],
    [
      'the API server rejects a child because of the spec',
      { phase: { kind: 'rejected', message: 'no', permanent: true } },
      ['False InvalidSpec', 'False InvalidSpec', 'True InvalidSpec'],
    ],
    [
      'the API server rejects a child for lack of permission',
      { phase: { kind: 'rejected', message: 'forbidden', permanent: false } },
      ['False Progressing', 'True Progressing', 'False Progressing'],
    ],
  ])('when %s', ([, overrides, expected]) => {
    expect(all(statusInput(overrides))).toEqual(expected);
  });

  test('Reconciling and Stalled are never both True', () => {
    const phases: Phase[] = [
      { kind: 'applied' },
      { kind: 'paused' },
      missing,
      { ...missing, expired: true },
      { ...missing, by: 'malformed' },
      { kind: 'conflict', object: 'x', transient: true },
      { kind: 'conflict', object: 'x', transient: false },
      { kind: 'rejected', message: 'x', permanent: true },
      { kind: 'rejected', message: 'x', permanent: false },
    ];
    const deployments = [
      undefined,
      GOOD,
      deployment({ conditions: [OVERDUE] }),
      deployment({ conditions: [UNDERWAY] }),
    ];
    for (const phase of phases)
      for (const live of deployments)
        for (const proven of [true, false]) {
          const of = statusInput({ phase, deployment: live, proven });
          expect(`${reconciling(of).status} ${stalled(of).status}`).not.toBe('True True');
          // A tool that waits for Ready must not succeed on a stalled cache.
          if (stalled(of).status === 'True' && phase.kind !== 'blocked') expect(ready(of).status).not.toBe('True');
        }
  });

  test('name the failing pod and the replicas that still run', () => {
    const live = deployment({ replicas: 4, updatedReplicas: 1, readyReplicas: 3, conditions: [OVERDUE] });
    expect(stalled(statusInput({ deployment: live, podMessage: 'pod a: no such bucket' })).message).toBe(
      'pod a: no such bucket; 3 replicas with the previous configuration are still running',
    );
  });

  test('need no proven configuration for zero replicas', () => {
    const cache = cacheFrom(`${MINIMAL}  replicas: 0\n`);
    expect(all(statusInput({ cache, proven: false, deployment: deployment({ conditions: [COMPLETE] }) }))).toEqual([
      'True ReplicasReady',
      'False ReplicasReady',
      'False ReplicasReady',
    ]);
  });
});

describe('the message of a stuck rollout', () => {
  test.for([
    [1, '1 replica with the previous configuration is still running; pod a: no such bucket'],
    [2, '2 replicas with the previous configuration are still running; pod a: no such bucket'],
  ] as const)('quotes the unready pod, with %i old replicas', ([old, expected]) => {
    const live = deployment({ replicas: 3 + old, updatedReplicas: 3, readyReplicas: 2, conditions: [UNDERWAY] });
    const of = statusInput({ deployment: live, podMessage: 'pod a: no such bucket' });
    expect([ready(of).message, reconciling(of).message]).toEqual([expected, expected]);
  });
});

describe('a rollout', () => {
  test.for<readonly [string, LiveDeployment | undefined, string]>([
    ['is progressing without a Deployment', undefined, 'progressing'],
    [
      'is progressing while the Deployment controller has not observed the change',
      { ...GOOD, metadata: { ...GOOD.metadata, generation: 2 } },
      'progressing',
    ],
    ['is progressing while pods are not updated', deployment({ replicas: 3, updatedReplicas: 2 }), 'progressing'],
    ['is progressing while old pods remain', deployment({ replicas: 4, updatedReplicas: 3 }), 'progressing'],
    [
      'is progressing until the updated pods have been ready once',
      deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 2, conditions: [UNDERWAY] }),
      'progressing',
    ],
    ['has failed past its deadline', deployment({ replicas: 3, updatedReplicas: 3, conditions: [OVERDUE] }), 'failed'],
    ['is complete', GOOD, 'complete'],
    [
      'stays complete when a pod is lost later',
      deployment({ replicas: 3, updatedReplicas: 3, readyReplicas: 1, conditions: [COMPLETE] }),
      'complete',
    ],
  ])('%s', ([, live, kind]) => {
    expect(rolloutOf(live, 3).kind).toBe(kind);
  });

  test('without pods reports the cause', () => {
    const quota = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' };
    expect(rolloutOf(deployment({ conditions: [UNDERWAY, quota] }), 3)).toMatchObject({
      message: '0 of 3 replicas have the latest configuration: exceeded quota',
    });
  });
});

describe('the list of conditions', () => {
  const before = (status: Condition['status'], type = 'Ready'): Condition => ({
    type,
    status,
    reason: 'Old',
    message: 'old',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  const withConditions = (...conditions: Condition[]): OrcaCache => ({
    ...cacheFrom(MINIMAL),
    status: { conditions, observedGeneration: 1 },
  });

  test('keeps the transition time while only the reason changes', () => {
    const [condition] = conditionsOf(statusInput({ cache: withConditions(before('True')) }), NOW_MS);
    expect(condition).toMatchObject({ reason: 'ReplicasReady', lastTransitionTime: '2026-01-01T00:00:00Z' });
  });

  test('updates the transition time with the status, in whole seconds', () => {
    const [condition] = conditionsOf(statusInput({ cache: withConditions(before('False')) }), NOW_MS);
    expect(condition?.lastTransitionTime).toBe('2026-05-01T12:00:00Z');
  });

  test('keeps conditions of other types', () => {
    const other = before('True', 'Sunny');
    expect(conditionsOf(statusInput({ cache: withConditions(other) }), NOW_MS)).toContainEqual(other);
  });

  test('truncates messages to the schema’s limit', () => {
    const phase: Phase = { kind: 'rejected', message: 'x'.repeat(10_000), permanent: true };
    for (const { message } of conditionsOf(statusInput({ phase }), NOW_MS))
      expect(message.length).toBeLessThanOrEqual(4096);
  });
});

describe('the status', () => {
  test('has the observed generation and the replica counts of the Deployment', () => {
    expect(statusOf(statusInput(), '1.2.3', NOW_MS)).toMatchObject({
      observedGeneration: 1,
      replicas: 3,
      readyReplicas: 3,
      updatedReplicas: 3,
      configHash: 'c0ffee00',
      version: '1.2.3',
    });
  });
});
