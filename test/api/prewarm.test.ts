/** Prewarms against the real API server and its authorizer, with exactly the chart's permissions. */
import { expect, test, vi } from 'vitest';
import { collectionPath } from '#operator/api/manifest.ts';
import { REACTION_MS } from './operator-world.ts';
import { conditionOf, FAILED, FINISHED, NAMESPACE, openPrewarmWorld } from './prewarm-world.ts';

const patience = { timeout: REACTION_MS, interval: 200 };

test('prewarms run, report, suspend, end and expire with the chart’s permissions', async () => {
  const world = await openPrewarmWorld();
  const { kube, create, get, report, finish, until, events, patchSpec, operator, metric } = world;

  await create('once');
  await until('once', ({ state, activeRun }) => expect([state, activeRun]).toEqual(['Pending', 1]));
  await report('once', {
    listed: true,
    objects: { total: 3, done: 1, failed: 0 },
    bytes: { total: 300, done: 100, fromOrigin: 100, alreadyStored: 0 },
    bytesPerSecond: 10,
    pin: 'refused',
    message: 'the pins would exceed maxPinned',
  });
  await until('once', ({ state, progress, rate, pin }) =>
    expect([state, progress, rate, pin]).toEqual(['Running', '33 % 100/300', '10/s', 'Refused']),
  );
  await patchSpec('once', { suspend: true });
  await until('once', (status) => {
    expect(conditionOf(status, 'Suspended')).toBe('True Suspended');
    expect(status).not.toHaveProperty('startTime');
    expect(status).not.toHaveProperty('rate');
  });
  await patchSpec('once', { suspend: false });
  await until('once', ({ startTime }) => expect(startTime).toBeDefined());
  await finish('once');
  await until('once', (status) => {
    expect(conditionOf(status, 'Complete')).toBe('True Completed');
    expect(status.bytes).toEqual({ total: 300, done: 300, fromOrigin: 200, alreadyStored: 100 });
  });
  // An event may be written after the status that it reports.
  await vi.waitFor(
    async () =>
      expect(await events('once')).toEqual([
        'Normal Started',
        'Warning PinRefused',
        'Normal Suspended',
        'Normal Resumed',
        'Normal Completed',
      ]),
    patience,
  );

  // The pods may read the ConfigMap that it names, and no other.
  await kube.request('POST', collectionPath('v1', 'configmaps', NAMESPACE), {
    body: { metadata: { name: 'lists' }, data: { epoch: 'a\nb\n' } },
  });
  await create('listed', {
    'spec.targets': [{ bucket: 'models', keysFrom: { configMapRef: { name: 'lists', key: 'epoch' } } }],
  });
  await finish('listed', FAILED);
  const rbac = (plural: string) => `${collectionPath('rbac.authorization.k8s.io/v1', plural, NAMESPACE)}/listed-keys`;
  expect(await kube.request('GET', rbac('roles'))).toMatchObject({
    metadata: { ownerReferences: [{ kind: 'OrcaPrewarm', uid: (await get('listed')).metadata.uid }] },
    rules: [{ resources: ['configmaps'], resourceNames: ['lists'], verbs: ['get'] }],
  });
  expect(await kube.request('GET', rbac('rolebindings'))).toMatchObject({
    subjects: [{ kind: 'ServiceAccount', name: 'models-cache', namespace: NAMESPACE }],
  });
  expect((await get('listed')).status?.failures).toEqual([{ key: 'a', reason: 'not_found' }]);

  await create('short', { 'spec.ttlSecondsAfterFinished': 1 });
  await report('short', FINISHED);
  await vi.waitFor(() => expect(get('short')).rejects.toThrow('not found'), patience);

  await create('lost', { 'spec.cacheRef.name': 'other' });
  await until('lost', (status) => {
    expect(status.state).toBe('Pending');
    expect(conditionOf(status, 'Reconciling')).toBe('True WaitingForReference');
  });
  await kube.request('DELETE', '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/lost');

  expect(await metric('orcaprewarm_condition')).toBeGreaterThan(0);
  // A second pass writes nothing.
  const before = await world.writesAtRest();
  await kube.request('PATCH', '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/once', {
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { 'example.com/look': 'again' } } },
  });
  expect(await world.writesAtRest()).toEqual(before);
  expect(operator.output()).not.toContain(': 403 ');
  expect(operator.output()).not.toContain('"level":"error"');
});
