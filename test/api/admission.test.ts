/**
 * What other writers and the policies of a namespace do to the children of a cache, on a real API server: a field manager
 * and a policy that change the Deployment, a quota, a LimitRange and a Pod Security level that refuse its pods.
 */
import { describe, expect, test, vi } from 'vitest';
import { collectionPath } from '#operator/api/manifest.ts';
import { withRemedy } from '#operator/status/creation-failure.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { PATCH } from '#shared/kube/client.ts';
import { isReconciled, openApiWorld, REACTION_MS, type ApiWorld } from './operator-world.ts';

const NAMESPACE = 'ml';
const DEPLOYMENT = `${collectionPath('apps/v1', 'deployments', NAMESPACE)}/models`;
const PODS = collectionPath('v1', 'pods', NAMESPACE);
const CACHE = `${collectionPath('orcacache.dev/v1alpha1', 'orcacaches', NAMESPACE)}/models`;

interface Deployment {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
    };
  };
}

async function reconciled(world: ApiWorld, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await world.createNamespace(NAMESPACE);
  await world.createCache(NAMESPACE, 'models', more);
  await until(async () => expect((await world.caches()).every(isReconciled)).toBe(true));
}

function until<T>(check: () => Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: REACTION_MS, interval: 200 });
}

const deploymentOf = (kube: KubeClient): Promise<Deployment> => kube.request('GET', DEPLOYMENT);

/** Makes the operator look at the cache, and resolves with its writes once it is at rest. */
async function writesAfterAReconcile({ kube, metric, writesAtRest }: ApiWorld): Promise<readonly string[]> {
  const before = await metric('controller_runtime_reconcile_total');
  await kube.request('PATCH', CACHE, {
    contentType: PATCH.merge,
    body: { metadata: { annotations: { 'example.com/look': String(before) } } },
  });
  await until(async () => expect(await metric('controller_runtime_reconcile_total')).toBeGreaterThan(before));
  return writesAtRest();
}

describe('other writers', () => {
  test('a field manager that adds a sidecar and labels keeps them, and the operator writes nothing', async () => {
    const world = await openApiWorld();
    await reconciled(world);
    await world.kube.request('PATCH', DEPLOYMENT, {
      contentType: PATCH.apply,
      query: { fieldManager: 'mesh-injector' },
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'models', labels: { 'mesh.example/injected': 'true' } },
        spec: {
          template: {
            metadata: { labels: { 'mesh.example/revision': 'v1' }, annotations: { 'mesh.example/status': '{}' } },
            spec: { containers: [{ name: 'proxy', image: 'mesh.example/proxy:1' }] },
          },
        },
      },
    });
    const before = await world.writesAtRest();
    expect(await writesAfterAReconcile(world)).toEqual(before);
    const { metadata, spec } = await deploymentOf(world.kube);
    expect(metadata.labels).toMatchObject({ 'mesh.example/injected': 'true' });
    expect(spec.template.metadata.labels).toMatchObject({ 'mesh.example/revision': 'v1' });
    expect(spec.template.spec.containers.map(({ name }) => name).toSorted()).toEqual(['cache', 'proxy']);
  });

  test('an admission policy that replaces the image is applied against once, and then left alone', async ({ skip }) => {
    const world = await openApiWorld();
    const policies = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies';
    const hasPolicies = await world.kube.request('GET', policies).then(
      () => true,
      () => false,
    );
    skip(!hasPolicies, 'policies that change objects are stable since Kubernetes 1.36');
    await replaceImages(world.kube);
    await reconciled(world);
    await until(async () => {
      const { spec } = await deploymentOf(world.kube);
      expect(spec.template.spec.containers[0]?.image).toBe('mirror.example/cache:test');
    });
    await until(async () => expect(world.operator.output()).toContain('did not accept fields of a child'));
    const before = await world.writesAtRest();
    expect(await writesAfterAReconcile(world)).toEqual(before);
    expect(world.operator.output().match(/did not accept fields of a child/g)).toHaveLength(1);
  });
});

/** As a policy engine that has images pulled from a mirror. */
async function replaceImages(kube: KubeClient): Promise<void> {
  const api = '/apis/admissionregistration.k8s.io/v1';
  await kube.request('POST', `${api}/mutatingadmissionpolicies`, {
    body: {
      metadata: { name: 'mirror' },
      spec: {
        failurePolicy: 'Fail',
        reinvocationPolicy: 'Never',
        matchConstraints: {
          resourceRules: [
            { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] },
          ],
        },
        mutations: [
          {
            patchType: 'JSONPatch',
            jsonPatch: {
              expression:
                '[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: "mirror.example/cache:test"}]',
            },
          },
        ],
      },
    },
  });
  await kube.request('POST', `${api}/mutatingadmissionpolicybindings`, {
    body: { metadata: { name: 'mirror' }, spec: { policyName: 'mirror' } },
  });
  // The API server reads its policies with a delay.
  const probe = { metadata: { name: 'probe', namespace: 'default' }, spec: probeSpec() };
  await until(async () => {
    const answer = await kube.request<Deployment>('POST', collectionPath('apps/v1', 'deployments', 'default'), {
      query: { dryRun: 'All' },
      body: probe,
    });
    expect(answer.spec.template.spec.containers[0]?.image).toBe('mirror.example/cache:test');
  });
}

function probeSpec() {
  const labels = { app: 'probe' };
  return {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'a' }] } },
  };
}

describe('pods of the template', () => {
  /** Why the API server refuses a pod that a ReplicaSet would create; undefined if it accepts the pod. */
  async function refusalOf(kube: KubeClient): Promise<string | undefined> {
    const { template } = (await deploymentOf(kube)).spec;
    const spec = { ...template.spec, serviceAccountName: 'models-cache' };
    const body = { metadata: { generateName: 'models-', labels: template.metadata.labels }, spec };
    try {
      await kube.request('POST', PODS, { query: { dryRun: 'All' }, body });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  const restrict = (kube: KubeClient): Promise<unknown> =>
    kube.request('PATCH', `/api/v1/namespaces/${NAMESPACE}`, {
      contentType: PATCH.merge,
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
    });

  /** The quota controller, which does not run here, would publish the limits as the status. */
  async function limit(kube: KubeClient, hard: Readonly<Record<string, string>>): Promise<void> {
    const quotas = collectionPath('v1', 'resourcequotas', NAMESPACE);
    await kube.request('POST', quotas, { body: { metadata: { name: 'team' }, spec: { hard } } });
    const used = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
    await kube.request('PATCH', `${quotas}/team/status`, {
      contentType: PATCH.merge,
      body: { status: { hard, used } },
    });
  }

  test('meet the level restricted, as the operator makes them and with the user of a platform', async () => {
    const world = await openApiWorld();
    await reconciled(world);
    await restrict(world.kube);
    expect(await refusalOf(world.kube)).toBeUndefined();
    await world.kube.request('PATCH', CACHE, {
      contentType: PATCH.merge,
      body: {
        spec: { pod: { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } } },
      },
    });
    await until(async () => {
      const { template } = (await deploymentOf(world.kube)).spec;
      expect(JSON.stringify(template.spec)).not.toContain('runAsUser');
    });
    expect(await refusalOf(world.kube)).toBeUndefined();
  });

  const REFUSALS: readonly (readonly [text: string, change: (kube: KubeClient) => Promise<unknown>])[] = [
    [
      'maximum memory usage per Container',
      (kube) =>
        kube.request('POST', collectionPath('v1', 'limitranges', NAMESPACE), {
          body: { metadata: { name: 'team' }, spec: { limits: [{ type: 'Container', max: { memory: '1Gi' } }] } },
        }),
    ],
    ['exceeded quota: team', (kube) => limit(kube, { pods: '0' })],
    ['must specify limits.cpu', (kube) => limit(kube, { 'limits.cpu': '8' })],
    ['violates PodSecurity', restrict],
  ];

  test('that a LimitRange, a quota or Pod Security refuses have a message for which a remedy is known', async () => {
    const world = await openApiWorld();
    await reconciled(world, {
      'spec.pod.resources': { limits: { memory: '4Gi' } },
      'spec.pod.containerSecurityContext': {},
    });
    for (const [text, change] of REFUSALS) {
      await change(world.kube);
      const refusal = await until(async () => {
        const found = await refusalOf(world.kube);
        expect(found).toContain(text);
        return found ?? '';
      });
      expect(withRemedy(refusal)).toMatch(/; .*spec\.(?:pod|replicas)/);
      for (const kind of ['limitranges', 'resourcequotas'])
        await world.kube.request('DELETE', collectionPath('v1', kind, NAMESPACE));
    }
  });
});
