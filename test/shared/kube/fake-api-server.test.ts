import { describe, expect, onTestFinished, test } from 'vitest';
import { PATCH, type KubeClient } from '#shared/kube/client.ts';
import { hasStatus, KubeError } from '#shared/kube/error.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { ApiRefusal, openFakeApiServer, type FakeApiServerOptions } from '#test/support/fake-api-server.ts';

interface Deployment extends KubeObject {
  readonly spec?: { readonly replicas?: number; readonly template?: unknown };
  readonly status?: unknown;
}

const DEPLOYMENTS = '/apis/apps/v1/namespaces/ml/deployments';
const MODELS = `${DEPLOYMENTS}/models`;

async function open(options: FakeApiServerOptions = {}) {
  const api = await openFakeApiServer(options);
  onTestFinished(() => api.close());
  return { api, client: api.client() };
}

function apply(
  client: KubeClient,
  body: object,
  options: { manager?: string; force?: boolean } = {},
): Promise<Deployment> {
  return client.request<Deployment>('PATCH', MODELS, {
    contentType: PATCH.apply,
    query: { fieldManager: options.manager ?? 'orca', force: options.force ?? true },
    body: { apiVersion: 'apps/v1', kind: 'Deployment', ...body },
  });
}

async function refusal(call: Promise<unknown>): Promise<KubeError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubeError)) throw new Error('expected a KubeError', { cause: error });
  return error;
}

describe('server-side apply', () => {
  test('creates an object, and does not change it when the same manifest is applied again', async () => {
    const { client } = await open();
    const first = await apply(client, { spec: { replicas: 3 } });
    expect(first.metadata).toMatchObject({ name: 'models', namespace: 'ml', generation: 1 });
    const again = await apply(client, { spec: { replicas: 3 } });
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  test('increments the generation for spec changes, but not for labels or status', async () => {
    const { client } = await open();
    await apply(client, { spec: { replicas: 3 } });
    const labelled = await apply(client, { metadata: { labels: { a: 'b' } }, spec: { replicas: 3 } });
    expect(labelled.metadata.generation).toBe(1);
    const status = { status: { readyReplicas: 1 }, spec: { replicas: 9 } };
    const reported = await client.request<Deployment>('PATCH', `${MODELS}/status`, {
      contentType: PATCH.merge,
      body: status,
    });
    expect(reported).toMatchObject({
      metadata: { generation: 1 },
      spec: { replicas: 3 },
      status: { readyReplicas: 1 },
    });
    const scaled = await apply(client, { spec: { replicas: 4 } });
    expect(scaled).toMatchObject({ metadata: { generation: 2 }, status: { readyReplicas: 1 } });
  });

  test('removes a field that its manager no longer sends, but keeps one that another manager owns', async () => {
    const { client } = await open();
    await apply(client, { metadata: { labels: { mine: '1', shared: '1' } }, spec: { replicas: 3 } });
    await apply(client, { metadata: { labels: { theirs: '1', shared: '1' } } }, { manager: 'other' });
    const after = await apply(client, { spec: { replicas: 3 } });
    expect(after.metadata.labels).toEqual({ theirs: '1', shared: '1' });
  });

  test('merges containers by name and removes one that is no longer sent', async () => {
    const { client } = await open();
    const pod = (...containers: object[]): object => ({ spec: { template: { spec: { containers } } } });
    await apply(client, pod({ name: 'cache', image: 'a' }, { name: 'extra', image: 'b' }));
    await apply(client, pod({ name: 'side', image: 's' }), { manager: 'other' });
    const after = await apply(client, pod({ name: 'cache', image: 'c' }));
    expect(after.spec?.template).toEqual({
      spec: {
        containers: [
          { name: 'cache', image: 'c' },
          { name: 'side', image: 's' },
        ],
      },
    });
  });

  test('rejects taking a field from another manager unless forced', async () => {
    const { client } = await open();
    await apply(client, { spec: { replicas: 3 } });
    const error = await refusal(apply(client, { spec: { replicas: 5 } }, { manager: 'other', force: false }));
    expect(error).toMatchObject({ status: 409, reason: 'Conflict' });
    expect(error.details?.causes).toEqual([
      expect.objectContaining({ reason: 'FieldManagerConflict', field: '.spec.replicas' }),
    ]);
    const forced = await apply(client, { spec: { replicas: 5 } }, { manager: 'other' });
    expect(forced.spec?.replicas).toBe(5);
  });

  test('rejects a wrong uid, and a uid for an object that does not exist', async () => {
    const { client } = await open();
    const wrong = { metadata: { uid: 'gone' }, spec: { replicas: 1 } };
    expect(await refusal(apply(client, wrong))).toMatchObject({ status: 409 });
    await apply(client, { spec: { replicas: 3 } });
    expect(await refusal(apply(client, wrong))).toMatchObject({ status: 409, reason: 'Conflict' });
  });
});

describe('other writes', () => {
  test('rejects a second create of the same name', async () => {
    const { client } = await open();
    const body = { metadata: { name: 'models' } };
    await client.request('POST', DEPLOYMENTS, { body });
    expect(await refusal(client.request('POST', DEPLOYMENTS, { body }))).toMatchObject({
      status: 409,
      reason: 'AlreadyExists',
    });
  });

  test('rejects an update with an old resourceVersion', async () => {
    const { api, client } = await open();
    const old = api.put(MODELS, { spec: { replicas: 1 } });
    api.put(MODELS, { spec: { replicas: 2 } });
    expect(await refusal(client.request('PUT', MODELS, { body: old }))).toMatchObject({
      status: 409,
      reason: 'Conflict',
    });
  });

  test('converts an Update entry to Apply by a JSON patch of managedFields', async () => {
    const { client } = await open();
    await client.request('POST', DEPLOYMENTS, {
      body: { metadata: { name: 'models' }, spec: { replicas: 1 } },
      query: { fieldManager: 'orca' },
    });
    const patched = await client.request<Deployment>('PATCH', MODELS, {
      contentType: PATCH.json,
      body: [{ op: 'replace', path: '/metadata/managedFields/0/operation', value: 'Apply' }],
    });
    expect(patched.metadata.managedFields).toEqual([expect.objectContaining({ manager: 'orca', operation: 'Apply' })]);
    const after = await apply(client, { metadata: { labels: { a: 'b' } } });
    expect(after.spec?.replicas).toBeUndefined();
  });

  test('keeps an object until its finalizers are removed', async () => {
    const { api, client } = await open();
    api.put(MODELS, { metadata: { finalizers: ['a/b'] } });
    await client.request('DELETE', MODELS);
    expect(api.get(MODELS)?.metadata.deletionTimestamp).toBeDefined();
    await client.request('PATCH', MODELS, { contentType: PATCH.merge, body: { metadata: { finalizers: null } } });
    expect(api.get(MODELS)).toBeUndefined();
  });

  test('garbage-collects objects without their owner', async () => {
    const { api, client } = await open({ collectGarbage: true });
    const owner = api.put(MODELS, {});
    const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'models', uid: owner.metadata.uid };
    api.put('/api/v1/namespaces/ml/configmaps/a', { metadata: { ownerReferences: [reference] } });
    api.put('/api/v1/namespaces/ml/configmaps/b', {});
    await client.request('DELETE', MODELS);
    expect(api.list('/api/v1/configmaps').map((object) => object.metadata.name)).toEqual(['b']);
  });

  test('lets the test set defaults and reject objects', async () => {
    const { client } = await open({
      admit(object) {
        const deployment = object as Deployment;
        if (deployment.spec?.replicas === -1) throw new ApiRefusal(422, 'Invalid', 'no');
        return { ...deployment, spec: { replicas: 1, ...deployment.spec } } as KubeObject;
      },
    });
    const made = await apply(client, { metadata: {} });
    expect(made.spec?.replicas).toBe(1);
    await expect(apply(client, { spec: { replicas: -1 } })).rejects.toSatisfy((error) => hasStatus(error, 422));
  });
});
