/** The operator against a real API server and its authorizer, with exactly the chart's permissions. */
import { describe, expect, test, vi } from 'vitest';
import { surviveApiOutage } from './api-outage.ts';
import { isReconciled, openApiWorld, REACTION_MS } from './operator-world.ts';

const NAMESPACE = 'ml';
const CHILDREN = [
  'configmaps',
  'configmaps',
  'deployments',
  'networkpolicies',
  'poddisruptionbudgets',
  'rolebindings',
  'roles',
  'secrets',
  'serviceaccounts',
  'services',
  'services',
];

describe('with the chart’s permissions', () => {
  test('the operator creates every child, rotates the key, and then writes nothing, according to the audit log', async () => {
    const { kube, operator, createNamespace, createCache, caches, metric, writes, writesAtRest } = await openApiWorld();
    await createNamespace(NAMESPACE);
    await createCache(NAMESPACE, 'models', { 'spec.networkPolicy.enabled': true });
    await vi.waitFor(async () => expect((await caches()).every(isReconciled)).toBe(true), {
      timeout: REACTION_MS,
      interval: 200,
    });
    const created = (await writesAtRest()).filter((write) => write.startsWith('create '));
    expect(created.toSorted()).toEqual([...CHILDREN, 'events'].map((plural) => `create ${plural}`).toSorted());

    const annotate = (annotations: Readonly<Record<string, string>>) =>
      kube.request('PATCH', `/apis/orcacache.dev/v1alpha1/namespaces/${NAMESPACE}/orcacaches/models`, {
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations } },
      });
    await annotate({ 'orcacache.dev/rotate-peer-auth': '1' });
    await vi.waitFor(async () => expect(await writes()).toContain('patch secrets'), {
      timeout: REACTION_MS,
      interval: 200,
    });

    const [before, reconciles] = [await writesAtRest(), await metric('controller_runtime_reconcile_total')];
    await annotate({ 'example.com/look': 'again' });
    await vi.waitFor(
      async () => expect(await metric('controller_runtime_reconcile_total')).toBeGreaterThan(reconciles + 1),
      { timeout: REACTION_MS, interval: 200 },
    );
    expect(await writesAtRest()).toEqual(before);
    // No request was forbidden.
    expect(operator.output()).not.toContain(': 403 ');
    expect(operator.output()).not.toContain('"level":"error"');
  });
});

describe('an outage of the API server', () => {
  test('of half a minute does not end the operator, and causes no burst of writes afterwards', async () => {
    // Longer than the lease duration, so the term ends and a new one begins.
    await surviveApiOutage(30_000);
  });
});
