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

const saying = (failing: readonly string[]): PodReport => ({
  failing,
  buckets: undefined,
  brokenBuckets: [],
  store: undefined,
  identityConflict: undefined,
  runtimeProblems: undefined,
});

describe('the pod to ask', () => {
  test('is the newest that is not ready and not on its way out', () => {
    expect(
      unreadyPod([pod('a', true), pod('b', false, {}, true), pod('c', false), pod('d', false)])?.metadata.name,
    ).toBe('c');
  });

  test('is none when all are ready', () => {
    expect(unreadyPod([pod('a', true)])).toBeUndefined();
  });
});

describe('why a pod is not ready', () => {
  const crash = { terminated: { reason: 'Error', exitCode: 1, message: 'origin.id: is required\n' } };
  test.for<readonly [string, LivePod, string | undefined]>([
    [
      'its last words while it crashes',
      pod('a', false, { state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } }, lastState: crash }),
      'pod a: CrashLoopBackOff: Error (exit code 1): origin.id: is required',
    ],
    [
      'its last words when it just ended',
      pod('a', false, { state: crash }),
      'pod a: Error (exit code 1): origin.id: is required',
    ],
    [
      'what the kubelet waits for',
      pod('a', false, { state: { waiting: { reason: 'ErrImagePull', message: 'not found' } } }),
      'pod a: ErrImagePull: not found',
    ],
    ['nothing while it is made', pod('a', false, { state: { waiting: { reason: 'ContainerCreating' } } }), undefined],
    ['nothing while it starts', pod('a', false, { state: { running: {} } }), undefined],
    [
      'why it has no node',
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

  test('is rather in its own words', () => {
    const waiting = pod('a', false, { state: { running: {} } });
    expect(podMessage(waiting, saying(['cachestore: no such bucket', 'bucket m: denied']))).toBe(
      'pod a: cachestore: no such bucket; bucket m: denied',
    );
  });

  test('is cut where it gets long', () => {
    expect(podMessage(pod('a', false), saying(['x'.repeat(5000)]))?.length).toBe(600);
  });
});
