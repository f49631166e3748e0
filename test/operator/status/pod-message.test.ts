import { describe, expect, test } from 'vitest';
import type { ContainerStatus, LivePod, PodReport } from '#operator/api/observed.ts';
import { podMessage, unreadyPod } from '#operator/status/pod-message.ts';

function pod(name: string, ready: boolean, container: Partial<ContainerStatus> = {}, deleted = false): LivePod {
  return {
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    status: {
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'cache', ...container }],
    },
  };
}

const reporting = (failing: readonly string[]): PodReport => ({
  failing,
  buckets: undefined,
  brokenBuckets: [],
  store: undefined,
  identityConflict: undefined,
  workers: [],
  capacity: undefined,
  runtimeProblems: undefined,
});

describe('unreadyPod', () => {
  test('is the newest pod that is neither ready nor being deleted', () => {
    expect(
      unreadyPod([pod('a', true), pod('b', false, {}, true), pod('c', false), pod('d', false)])?.metadata.name,
    ).toBe('c');
  });

  test('is undefined when all pods are ready', () => {
    expect(unreadyPod([pod('a', true)])).toBeUndefined();
  });
});

describe('podMessage', () => {
  const crash = { terminated: { reason: 'Error', exitCode: 1, message: 'origin.id: is required\n' } };
  test.for<readonly [string, LivePod, string | undefined]>([
    [
      'the termination message during a crash loop',
      pod('a', false, { state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } }, lastState: crash }),
      'pod a: CrashLoopBackOff: Error (exit code 1): origin.id: is required',
    ],
    [
      'the termination message just after the exit',
      pod('a', false, { state: crash }),
      'pod a: Error (exit code 1): origin.id: is required',
    ],
    [
      'the waiting reason of the kubelet',
      pod('a', false, { state: { waiting: { reason: 'ErrImagePull', message: 'not found' } } }),
      'pod a: ErrImagePull: not found',
    ],
    [
      'undefined while the container is created',
      pod('a', false, { state: { waiting: { reason: 'ContainerCreating' } } }),
      undefined,
    ],
    ['undefined while the container starts', pod('a', false, { state: { running: {} } }), undefined],
    [
      'the scheduling failure',
      {
        ...pod('a', false),
        status: {
          conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no node fits' }],
        },
      },
      'pod a: Unschedulable: no node fits',
    ],
  ])('is %s', ([, of, message]) => {
    expect(podMessage(of, undefined)).toBe(message);
  });

  test('prefers the pod’s own report', () => {
    const waiting = pod('a', false, { state: { running: {} } });
    expect(podMessage(waiting, reporting(['cachestore: no such bucket', 'bucket m: denied']))).toBe(
      'pod a: cachestore: no such bucket; bucket m: denied',
    );
  });

  test('is truncated to 600 characters', () => {
    expect(podMessage(pod('a', false), reporting(['x'.repeat(5000)]))?.length).toBe(600);
  });
});
