/** Gated pods on the real API server, with the permissions that the chart grants for `schedulingGates.enabled`. */
import { expect, test, vi } from 'vitest';
import { collectionPath } from '#operator/api/manifest.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { REACTION_MS } from './operator-world.ts';
import { FAILED, NAMESPACE, openPrewarmWorld } from './prewarm-world.ts';

const GATE = 'orcacache.dev/prewarm';
const OTHER_GATE = 'example.com/quota';
const PODS = collectionPath('v1', 'pods', NAMESPACE);
const patience = { timeout: REACTION_MS, interval: 200 };

async function createPod(
  kube: KubeClient,
  name: string,
  annotations: Readonly<Record<string, string>>,
  gates: readonly string[] = [GATE],
): Promise<void> {
  await kube.request('POST', PODS, {
    body: {
      metadata: { name, annotations },
      spec: {
        automountServiceAccountToken: false,
        schedulingGates: gates.map((gate) => ({ name: gate })),
        containers: [{ name: 'train', image: 'train' }],
      },
    },
  });
}

async function gatesOf(kube: KubeClient, name: string): Promise<readonly string[]> {
  const { spec } = await kube.request<{ readonly spec: { readonly schedulingGates?: readonly { name: string }[] } }>(
    'GET',
    `${PODS}/${name}`,
  );
  return (spec.schedulingGates ?? []).map((gate) => gate.name);
}

test('a gated pod starts when its prewarm is complete; otherwise it has an event', async () => {
  const { kube, create, finish, until, events, operator } = await openPrewarmWorld({
    rendering: 'full',
    env: { SCHEDULING_GATES: 'true' },
  });
  await create('llama');
  await until('llama', ({ activeRun }) => expect(activeRun).toBe(1));
  await createPod(kube, 'job', { [GATE]: 'llama' });
  await createPod(kube, 'two-gates', { [GATE]: 'llama' }, [OTHER_GATE, GATE]);
  await createPod(kube, 'lost', { [GATE]: 'missing' });
  await vi.waitFor(async () => expect(await events('lost')).toEqual(['Warning PrewarmNotFound']), patience);
  expect(await gatesOf(kube, 'job')).toEqual([GATE]);

  await finish('llama');
  await vi.waitFor(async () => {
    expect(await gatesOf(kube, 'job')).toEqual([]);
    expect(await gatesOf(kube, 'two-gates')).toEqual([OTHER_GATE]);
    expect(await events('job')).toEqual(['Normal GateRemoved']);
  }, patience);

  await create('broken');
  await createPod(kube, 'waits', { [GATE]: 'broken' });
  await createPod(kube, 'starts', { [GATE]: 'broken', 'orcacache.dev/prewarm-on-failure': 'Release' });
  await finish('broken', FAILED);
  await vi.waitFor(async () => {
    expect(await events('waits')).toEqual(['Warning PrewarmFailed']);
    expect(await gatesOf(kube, 'waits')).toEqual([GATE]);
    expect(await gatesOf(kube, 'starts')).toEqual([]);
  }, patience);
  expect(await gatesOf(kube, 'lost')).toEqual([GATE]);
  expect(operator.output()).not.toContain(': 403 ');
  expect(operator.output()).not.toContain('"level":"error"');
});
