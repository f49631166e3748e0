import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import type { Live } from '#operator/api/manifest.ts';
import type { KubeObject } from '#shared/kube/types.ts';
import { MINIMAL } from '#test/operator/caches.ts';
import { openHarness, PATH, type Harness } from './harness.ts';

const WITH_SECRETS = `
apiVersion: orcacache.dev/v1alpha1
kind: OrcaCache
metadata: {name: models, namespace: ml}
spec:
  origin: {id: models-eu, type: S3, s3: {credentialsSecretRef: {name: origin-keys}}, buckets: [{name: models}]}
  cacheStore: {type: S3, s3: {bucket: orca-chunks}}
`;
const WITH_AZURE_SECRET = WITH_SECRETS.replace('type: S3, s3: {', 'type: AzureBlob, azureBlob: {account: acme, ');
const OTHER_CONFIG = MINIMAL.replace('{name: models}]', '{name: models}, {name: more}]');

/** A harness with a cache whose pods are all ready. */
async function running(yaml = MINIMAL, webhook?: Parameters<typeof openHarness>[1]): Promise<Harness> {
  const harness = await openHarness(1, webhook);
  harness.applyCache(yaml);
  await harness.reconcile();
  harness.rollOut(3);
  await harness.reconcile();
  expect(harness.condition('Ready')).toBe('True ReplicasReady');
  return harness;
}

function runtime({ api }: Harness): { provenConfigs?: string[]; logLevel?: string } {
  const { data } = api.get(PATH.core('configmaps', 'models-runtime')) as unknown as { data: Record<string, string> };
  return parse(data['runtime.yaml'] ?? '') as { provenConfigs?: string[] };
}

describe('a new cache', () => {
  test('gets its children in order, each with the cache as owner', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    const { outcome, writes } = await harness.reconcile();
    const created = writes.filter(({ method, path }) => method === 'POST' && path !== PATH.events);
    expect(created.map(({ body }) => `${(body as Live).kind} ${(body as Live).metadata.name}`)).toEqual([
      'ServiceAccount models-cache',
      'Role models-cache',
      'RoleBinding models-cache',
      'Secret models-peer-auth',
      `ConfigMap models-config-${harness.cache().status?.configHash}`,
      'ConfigMap models-runtime',
      'Service models-peers',
      'Service models',
      'PodDisruptionBudget models',
      'Deployment models',
    ]);
    for (const { body } of created)
      expect((body as Live).metadata.ownerReferences).toMatchObject([
        { kind: 'OrcaCache', name: 'models', uid: harness.cache().metadata.uid, controller: true },
      ]);
    expect(outcome).toMatchObject({ kind: 'requeue', reason: 'Progressing' });
    expect(harness.condition('Ready')).toBe('False Progressing');
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('owns the fields of its children by Apply after the first reconcile', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.deployment().metadata.managedFields).toMatchObject([
      { manager: 'orca-operator', operation: 'Apply' },
    ]);
  });

  test('is ready when its replicas are; then a reconcile writes nothing', async () => {
    const harness = await running();
    expect(harness.cache().status).toMatchObject({
      observedGeneration: 1,
      replicas: 3,
      readyReplicas: 3,
      updatedReplicas: 3,
      endpoint: 'http://models.ml.svc',
      version: '0.1.0',
      selector: 'app.kubernetes.io/name=orcacache,app.kubernetes.io/instance=models,app.kubernetes.io/component=cache',
    });
    const { outcome, writes } = await harness.reconcile();
    expect(writes).toEqual([]);
    expect(outcome).toEqual({ kind: 'done' });
  });

  test('is not ready before a replica has proven the configuration, even if the Deployment is complete', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    harness.rollOut(3);
    for (const pod of harness.api.list(PATH.core('pods')))
      harness.api.delete(PATH.core('pods', pod.metadata.name ?? ''));
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False Progressing');
    expect(harness.message('Ready')).toContain('not proven');
    expect(runtime(harness).provenConfigs).toEqual([]);
  });

  test('with zero replicas is ready without a proven configuration', async () => {
    const harness = await openHarness();
    harness.applyCache(`${MINIMAL}  replicas: 0\n`);
    await harness.reconcile();
    harness.rollOut(0);
    expect((await harness.reconcile()).outcome).toEqual({ kind: 'done' });
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });
});

describe('an unchanged cache', () => {
  test('is not written to, also after a restart of the operator', async () => {
    const harness = await running();
    harness.restart();
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('keeps its peer key', async () => {
    const harness = await running();
    const key = harness.api.get(PATH.core('secrets', 'models-peer-auth'));
    harness.restart();
    await harness.reconcile();
    expect(harness.api.get(PATH.core('secrets', 'models-peer-auth'))).toEqual(key);
  });
});

describe('drift', () => {
  test.for([
    ['a changed field', PATH.core('services', 'models'), { spec: { selector: { 'app.kubernetes.io/name': 'else' } } }],
    [
      'a changed label',
      PATH.core('serviceaccounts', 'models-cache'),
      { metadata: { labels: { 'app.kubernetes.io/part-of': 'x' } } },
    ],
    ['a changed replica count', PATH.deployment, undefined],
  ] as const)('is reverted: %s', async ([, path, change]) => {
    const harness = await running();
    const good = harness.api.get(path);
    const { spec } = harness.deployment();
    harness.api.put(path, change ?? { spec: { ...spec, replicas: 9 } });
    await harness.reconcile();
    const {
      managedFields: _now,
      resourceVersion: _rv,
      generation: _g,
      ...metadata
    } = harness.api.get(path)?.metadata ?? {};
    expect({ ...good?.metadata, managedFields: 0, resourceVersion: 0, generation: 0 }).toEqual({
      ...metadata,
      managedFields: 0,
      resourceVersion: 0,
      generation: 0,
    });
    expect((harness.api.get(path) as { spec?: unknown }).spec).toEqual((good as { spec?: unknown }).spec);
  });

  test('is reverted: a deleted child', async () => {
    const harness = await running();
    harness.api.delete(PATH.core('services', 'models'));
    await harness.reconcile();
    expect(harness.api.get(PATH.core('services', 'models'))).toBeDefined();
  });

  test('is kept in fields that the operator does not send', async () => {
    const harness = await running();
    const service = harness.api.get(PATH.core('services', 'models')) as { spec?: object };
    harness.api.put(PATH.core('services', 'models'), { spec: { ...service.spec, sessionAffinity: 'ClientIP' } });
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('is reverted: invalid YAML in the runtime file; proven configurations are kept', async () => {
    const harness = await running();
    harness.api.put(PATH.core('configmaps', 'models-runtime'), { data: { 'runtime.yaml': '{{: nonsense' } });
    await harness.reconcile();
    expect(runtime(harness)).toMatchObject({ logLevel: 'info', provenConfigs: [harness.cache().status?.configHash] });
  });
});

describe('a field that the API server does not accept', () => {
  interface Policy {
    isActive: boolean;
  }
  /** As an older API server, and a webhook that replaces images. */
  const changing =
    (policy: Policy) =>
    (object: KubeObject): KubeObject => {
      if (object.kind !== 'Deployment' || !policy.isActive) return object;
      const text = JSON.stringify(object);
      const changed = text.replace('"orcacache/cache:', '"mirror.example/cache:');
      return JSON.parse(changed.replaceAll('"matchLabelKeys":["pod-template-hash"],', '')) as KubeObject;
    };
  const imageOf = (harness: Harness): string | undefined =>
    /"image":"([^"]+)"/.exec(JSON.stringify(harness.deployment()))?.[1];
  const warnings = ({ lines }: Harness): string[] => lines.filter((line) => line.includes('did not accept fields'));

  test('is applied again, reported in the log, and then left: the cache gets ready, and nothing is written', async () => {
    const harness = await running(MINIMAL, changing({ isActive: true }));
    const { writes } = await harness.reconcile();
    expect(writes).toEqual([]);
    expect(imageOf(harness)).toBe('mirror.example/cache:0.1.0');
    expect(warnings(harness)).toHaveLength(1);
    expect(JSON.parse(warnings(harness)[0]!)).toMatchObject({
      kind: 'Deployment',
      child: 'models',
      fields: expect.arrayContaining(['spec.template.spec.containers.0.image']) as string[],
    });
  });

  test('does not hide that another field has drifted', async () => {
    const harness = await running(MINIMAL, changing({ isActive: true }));
    await harness.reconcile();
    const { spec } = harness.deployment();
    harness.api.put(PATH.deployment, { spec: { ...spec, replicas: 7 } });
    expect((await harness.reconcile()).writes).not.toEqual([]);
    expect(harness.deployment().spec.replicas).toBe(3);
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('is applied again when its value has changed, when the spec has, and after an hour', async () => {
    const policy = { isActive: true };
    const harness = await running(MINIMAL, changing(policy));
    const applies = async (): Promise<boolean> =>
      (await harness.reconcile()).writes.some(({ path }) => path === PATH.deployment);
    expect(await applies()).toBe(false);
    await harness.clock.advance(60 * 60_000);
    expect(await applies()).toBe(true);
    expect(await applies()).toBe(false);
    harness.applyCache(MINIMAL.replace('spec:', 'spec:\n  replicas: 5'));
    expect(await applies()).toBe(true);
    expect(await applies()).toBe(false);
    expect(warnings(harness)).toHaveLength(1);
    policy.isActive = false;
    const text = JSON.stringify(harness.deployment().spec).replace('mirror.example', 'elsewhere.example');
    harness.api.put(PATH.deployment, { spec: JSON.parse(text) as Record<string, unknown> });
    expect(await applies()).toBe(true);
    expect(imageOf(harness)).toBe('orcacache/cache:0.1.0');
  });
});

describe('a change of the spec', () => {
  test('creates a new config file, replaces the pods, and keeps the old file while a ReplicaSet references it', async () => {
    const harness = await running();
    const oldHash = harness.cache().status?.configHash ?? '';
    harness.applyCache(OTHER_CONFIG);
    await harness.reconcile();
    const newHash = harness.cache().status?.configHash ?? '';
    expect(newHash).not.toBe(oldHash);
    expect(harness.configMaps()).toEqual(
      [`models-config-${newHash}`, `models-config-${oldHash}`, 'models-runtime'].toSorted(),
    );
    expect(harness.condition('Ready')).toBe('False Progressing');
    // Old pods that restart now must become ready without reaching store and origin again.
    expect(runtime(harness).provenConfigs).toEqual([oldHash]);

    harness.rollOut(3);
    await harness.reconcile();
    // Pods of the old configuration may start again while a ReplicaSet references it.
    expect(runtime(harness).provenConfigs).toEqual([oldHash, newHash].toSorted());
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.configMaps()).toContain(`models-config-${oldHash}`);

    harness.api.delete(`${PATH.replicaSets}/models-${oldHash}`);
    await harness.reconcile();
    expect(harness.configMaps()).toEqual([`models-config-${newHash}`, 'models-runtime']);
    expect(runtime(harness).provenConfigs).toEqual([newHash]);
  });

  test('to a setting that reloads at run time changes the runtime file and no pod', async () => {
    const harness = await running();
    const before = harness.deployment().spec;
    harness.applyCache(`${MINIMAL}  logLevel: debug\n`);
    await harness.reconcile();
    expect(runtime(harness).logLevel).toBe('debug');
    expect(harness.deployment().spec).toEqual(before);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });

  test('to the replica count is applied to the Deployment', async () => {
    const harness = await running();
    harness.applyCache(`${MINIMAL}  replicas: 5\n`);
    await harness.reconcile();
    expect(harness.deployment().spec.replicas).toBe(5);
    expect(harness.condition('Ready')).toBe('False Progressing');
  });

  test('that removes a field removes it from the child', async () => {
    const harness = await running(`${MINIMAL}  pod: {priorityClassName: high, env: [{name: A, value: b}]}\n`);
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    const pod = (harness.deployment().spec as unknown as { template: { spec: { priorityClassName?: string } } })
      .template.spec;
    expect(pod.priorityClassName).toBeUndefined();
    expect(JSON.stringify(pod)).not.toContain('"A"');
  });

  test('that makes a child obsolete deletes it', async () => {
    const harness = await running();
    expect(harness.api.get(PATH.budget)).toBeDefined();
    harness.applyCache(`${MINIMAL}  replicas: 1\n`);
    await harness.reconcile();
    expect(harness.api.get(PATH.budget)).toBeUndefined();
  });
});

describe('spec.pod.template', () => {
  const withTemplate = (template: string): string => `${MINIMAL}  pod: {template: ${template}}\n`;
  const SIDECAR = withTemplate(
    '{metadata: {labels: {team: ml}}, spec: {schedulerName: mine, containers: [{name: sidecar, image: x, ports: [{containerPort: 15001}]}]}}',
  );

  test('becomes part of the pods; a reconcile then writes nothing', async () => {
    const harness = await running(SIDECAR);
    const { template } = harness.deployment().spec as unknown as {
      template: { metadata: { labels: object }; spec: { schedulerName: string; containers: { name: string }[] } };
    };
    expect(template.metadata.labels).toMatchObject({ team: 'ml', 'app.kubernetes.io/instance': 'models' });
    expect(template.spec.schedulerName).toBe('mine');
    expect(template.spec.containers.map(({ name }) => name)).toEqual(['cache', 'sidecar']);
    const { writes } = await harness.reconcile();
    expect(writes).toEqual([]);
  });

  test('that replaces a probe of the cache stalls it and changes no pod, until it is corrected', async () => {
    const harness = await running();
    const before = harness.deployment().spec;
    harness.applyCache(
      withTemplate('{spec: {containers: [{name: cache, readinessProbe: {httpGet: {path: /, port: 1}}}]}}'),
    );
    const { outcome } = await harness.reconcile();
    expect(outcome.kind).toBe('stalled');
    expect(harness.message('Stalled')).toBe(
      'spec.pod.template.spec.containers[cache].readinessProbe must not be set: the operator sets it',
    );
    expect(harness.deployment().spec).toEqual(before);
    harness.applyCache(SIDECAR);
    await harness.reconcile();
    expect(harness.condition('Stalled')).toContain('False');
  });
});

describe('a broken change to a running cache', () => {
  test('is reported with the pod’s message, keeps what the old pods need, and recovers after a revert', async () => {
    const harness = await running();
    const oldHash = harness.cache().status?.configHash ?? '';
    harness.applyCache(OTHER_CONFIG);
    await harness.reconcile();
    harness.rollOut(0, { failed: true, exitMessage: 'origin.buckets[1]: no such bucket' });
    const { outcome } = await harness.reconcile();
    expect(outcome).toMatchObject({ kind: 'requeue', reason: 'RolloutFailed' });
    expect(harness.condition('Ready')).toBe('False RolloutFailed');
    expect(harness.condition('Stalled')).toBe('True RolloutFailed');
    expect(harness.condition('Reconciling')).toBe('False RolloutFailed');
    expect(harness.message('Stalled')).toContain('origin.buckets[1]: no such bucket');
    expect(harness.message('Stalled')).toContain('3 replicas with the previous configuration are still running');
    expect(runtime(harness).provenConfigs).toEqual([oldHash]);
    expect(harness.configMaps()).toContain(`models-config-${oldHash}`);

    harness.applyCache(MINIMAL);
    await harness.reconcile();
    harness.rollOut(3);
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.condition('Stalled')).toBe('False ReplicasReady');
    expect(harness.cache().status?.configHash).toBe(oldHash);
  });
});

/** A harness with a reconciled cache, whose pods respond on their ops port with `handler`. */
async function harnessWithPods(handler: RequestListener): Promise<Harness> {
  const pod = createServer(handler);
  onTestFinished(() => void pod.close());
  await new Promise<void>((resolve) => {
    pod.listen(0, '127.0.0.1', resolve);
  });
  const harness = await openHarness((pod.address() as AddressInfo).port);
  harness.applyCache(MINIMAL);
  await harness.reconcile();
  return harness;
}

describe('a stuck rollout', () => {
  test('is reported with the message of the unready pod', async () => {
    const harness = await harnessWithPods((request, response) => {
      const checks = { peers: { ok: true, message: 'listed' }, cachestore: { ok: false, message: 'no such bucket' } };
      response.writeHead(request.url === '/status' ? 200 : 404).end(JSON.stringify({ ready: false, checks }));
    });
    harness.rollOut(1);
    await harness.reconcile();
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.message('Reconciling')).toMatch(
      /^1 of 3 replicas are ready; pod models-\w+-1: cachestore: no such bucket$/,
    );
  });
});

test('a worker that is restarted again and again is an event, less and less often', async () => {
  let restarts = 1;
  const harness = await harnessWithPods((_request, response) => {
    response.end(
      JSON.stringify({
        workers: [
          { index: 0, restarts: 0 },
          { index: 1, restarts },
        ],
      }),
    );
  });
  harness.rollOut(1);
  const notes: string[] = [];
  for (const next of [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 2, 3, 4, 5]) {
    restarts = next;
    await harness.clock.advance(60_000);
    await harness.reconcile();
    const events = harness.api.list(PATH.events) as unknown as { reason: string; note: string }[];
    const found = events.filter(({ reason }) => reason === 'WorkerRestarted');
    if (found.length > notes.length) notes.push(`${next}: ${found.at(-1)?.note}`);
  }
  const message = (pod: string, count: number) =>
    `${count}: worker 1 of pod ${pod} has been restarted ${count} times: kubectl logs ${pod} shows why`;
  const pod = harness.api.list(PATH.core('pods'))[0]?.metadata.name ?? '';
  // Not for what happened before the first report; and from the beginning again in another container.
  expect(notes).toEqual([message(pod, 4), message(pod, 8), message(pod, 16), message(pod, 5)]);
});

describe('the pods’ reports on origin and store', () => {
  async function podsReporting(initial: object): Promise<{ harness: Harness; report: (next: object) => void }> {
    let current = initial;
    const harness = await harnessWithPods((_request, response) => void response.end(JSON.stringify(current)));
    harness.rollOut(3);
    await harness.reconcile();
    return { harness, report: (next) => void (current = next) };
  }
  const store = { breaker: 'closed', condition: 'atomic', message: 'atomic', problems: [] };
  const good = { origin: { models: { state: 'reachable', message: '' } }, store };
  const bad = (requestId: string) => ({ origin: { models: { state: 'failed', message: requestId } }, store });

  test('are published in two conditions', async () => {
    const { harness } = await podsReporting(good);
    expect(harness.condition('OriginReachable')).toBe('True Reachable');
    expect(harness.condition('CacheStoreReady')).toBe('True Atomic');
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('report an unreachable origin and its recovery once each, without affecting other conditions', async () => {
    const { harness, report } = await podsReporting(good);
    report(bad('request 1'));
    await harness.clock.advance(60_000);
    await harness.reconcile();
    expect(harness.condition('OriginReachable')).toBe('False Unreachable');
    expect(harness.message('OriginReachable')).toContain('bucket models: request 1 (pod models-');
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.condition('Stalled')).toBe('False ReplicasReady');
    report(bad('request 2'));
    await harness.clock.advance(60_000);
    expect((await harness.reconcile()).writes).toEqual([]);
    report(good);
    await harness.clock.advance(60_000);
    await harness.reconcile();
    expect(harness.condition('OriginReachable')).toBe('True Reachable');
    const events = harness.api.list(PATH.events) as unknown as { reason: string; type: string }[];
    expect(events.map(({ type, reason }) => `${type} ${reason}`).toSorted()).toEqual([
      'Normal Progressing',
      'Normal Reachable',
      'Normal ReplicasReady',
      'Warning Unreachable',
    ]);
  });

  test('publish the figures of the cachestore; a limit that is removed disappears', async () => {
    const full = {
      ...good,
      capacity: { state: 'ok', usedBytes: 2048, chunks: 2, pinnedBytes: 0, capacityBytes: 4096 },
    };
    const { harness, report } = await podsReporting(full);
    expect(harness.cache().status?.cacheStore).toMatchObject({ usage: '2Ki/4Ki', capacity: '4Ki', chunks: 2 });
    report({ ...full, capacity: { ...full.capacity, chunks: 3 } });
    await harness.clock.advance(600_000);
    expect((await harness.reconcile()).writes).toEqual([]);
    report({ ...full, capacity: { state: 'ok', usedBytes: 4096, chunks: 4, oldestSweepMs: 1 } });
    await harness.clock.advance(60_000);
    expect((await harness.reconcile()).writes).toHaveLength(1);
    expect(harness.cache().status?.cacheStore).toEqual({
      usage: '4Ki',
      used: '4Ki',
      chunks: 4,
      pinned: '0',
      lastSweepTime: '1970-01-01T00:00:00Z',
      updateTime: expect.stringMatching(/^....-..-..T..:..:..Z$/) as string,
    });
  });

  test('warn once about a cachestore that denies eviction', async () => {
    const denied = (requestId: string) => ({
      ...good,
      capacity: { state: 'ok', usedBytes: 1, chunks: 1, evictionDenied: `AccessDenied ${requestId}` },
    });
    const { harness, report } = await podsReporting(denied('1'));
    expect(harness.condition('CacheStoreReady')).toBe('False EvictionDenied');
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    report(denied('2'));
    await harness.clock.advance(60_000);
    expect((await harness.reconcile()).writes).toEqual([]);
    const events = harness.api.list(PATH.events) as unknown as { reason: string; type: string }[];
    expect(events.filter(({ type }) => type === 'Warning').map(({ reason }) => reason)).toEqual(['EvictionDenied']);
  });
});

describe('a referenced Secret', () => {
  test('that is missing blocks all children, is reported by name, and unblocks them when it is created', async () => {
    const harness = await openHarness();
    harness.applyCache(WITH_SECRETS);
    const { outcome } = await harness.reconcile();
    expect(outcome).toEqual({ kind: 'requeue', afterMs: 15_000, reason: 'WaitingForSecret' });
    expect(harness.condition('Reconciling')).toBe('True WaitingForSecret');
    expect(harness.condition('Ready')).toBe('False WaitingForSecret');
    expect(harness.message('Reconciling')).toBe(
      'spec.origin.s3.credentialsSecretRef: Secret ml/origin-keys not found; create it or change the reference',
    );
    expect(harness.api.get(PATH.deployment)).toBeUndefined();

    harness.secret('origin-keys');
    await harness.reconcile();
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.api.get(PATH.deployment)).toBeDefined();
  });

  test('that is missing for a minute stalls the cache, is still polled, and unblocks it when it is created', async () => {
    const harness = await openHarness();
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    await harness.clock.advance(50_000);
    // Not later than the end of the grace period.
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 10_000 });
    await harness.clock.advance(10_000);
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 15_000 });
    expect(harness.condition('Stalled')).toBe('True SecretNotFound');
    expect(harness.condition('Reconciling')).toBe('False SecretNotFound');
    harness.restart();
    expect((await harness.reconcile()).writes).toEqual([]);
    harness.secret('origin-keys');
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('keeps its grace period across a restart of the operator', async () => {
    const harness = await openHarness();
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    await harness.clock.advance(45_000);
    harness.restart();
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 15_000 });
    await harness.clock.advance(15_000);
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('True SecretNotFound');
  });

  test('without a required key stalls the cache at once; the message names the key and no value', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { 'access-key-id': 'AKIAHIDDEN' });
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('True SecretMalformed');
    expect(harness.message('Stalled')).toBe(
      'spec.origin.s3.credentialsSecretRef: Secret ml/origin-keys has no key secret-access-key; add it',
    );
    harness.secret('origin-keys');
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('that requires exactly one of two keys stalls the cache with none and with both', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { other: 'x' });
    harness.applyCache(WITH_AZURE_SECRET);
    await harness.reconcile();
    expect(harness.message('Stalled')).toBe(
      'spec.origin.azureBlob.credentialsSecretRef: Secret ml/origin-keys has none of the keys account-key, sas-token; add one of them',
    );
    harness.secret('origin-keys', { 'account-key': 'a', 'sas-token': 'b' });
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('True SecretMalformed');
    expect(harness.message('Stalled')).toBe(
      'spec.origin.azureBlob.credentialsSecretRef: Secret ml/origin-keys has more than one of the keys account-key, sas-token; keep one of them',
    );
    harness.secret('origin-keys', { 'sas-token': 'b' });
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('that is deleted while the cache runs leaves it ready, and is reported', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys');
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    harness.rollOut(3);
    await harness.reconcile();
    harness.api.delete(PATH.core('secrets', 'origin-keys'));
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.condition('Reconciling')).toBe('True WaitingForSecret');
  });

  test('never appears in logs, events, statuses and ConfigMaps', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { 'access-key-id': 'AKIAHIDDEN', 'secret-access-key': 'hush-hush' });
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    harness.rollOut(3);
    await harness.reconcile();
    const { data } = harness.api.get(PATH.core('secrets', 'models-peer-auth')) as unknown as { data: { key: string } };
    const visible = JSON.stringify([
      harness.lines,
      harness.cache(),
      harness.api.list(PATH.events),
      harness.api.list(PATH.core('configmaps')),
    ]);
    expect(harness.api.list(PATH.events)).not.toEqual([]);
    for (const secret of ['AKIAHIDDEN', 'hush-hush', Buffer.from('hush-hush').toString('base64'), data.key])
      expect(visible).not.toContain(secret);
  });
});

describe("a child's name that is in use", () => {
  test('by a foreign object is a conflict; the object is not changed', async () => {
    const harness = await openHarness();
    harness.api.put(PATH.core('services', 'models'), { spec: { selector: { app: 'theirs' } } });
    const theirs = harness.api.get(PATH.core('services', 'models'));
    harness.applyCache(MINIMAL);
    const { outcome } = await harness.reconcile();
    expect(outcome).toMatchObject({ kind: 'requeue', reason: 'NameConflict' });
    expect(harness.condition('Ready')).toBe('False NameConflict');
    expect(harness.condition('Stalled')).toBe('True NameConflict');
    expect(harness.message('Ready')).toContain('Service models');
    expect(harness.api.get(PATH.core('services', 'models'))).toEqual(theirs);
    expect(harness.api.get(PATH.deployment)).toBeUndefined();

    harness.api.delete(PATH.core('services', 'models'));
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False Progressing');
  });

  test('by a foreign object with our labels is a conflict, too', async () => {
    const harness = await openHarness();
    harness.api.put(PATH.core('configmaps', 'models-runtime'), {
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'orca-operator', 'app.kubernetes.io/instance': 'models' } },
    });
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False NameConflict');
  });

  test('by a child of a deleted cache of the same name is waited for', async () => {
    const harness = await running();
    harness.api.delete(PATH.cache);
    harness.applyCache(MINIMAL);
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 2000 });
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.condition('Stalled')).toBe('False Progressing');
    harness.api.collectGarbage();
    await harness.reconcile();
    expect(harness.deployment().metadata.ownerReferences?.[0]?.uid).toBe(harness.cache().metadata.uid);
  });

  test('by a child that is being deleted is waited for, without a write to it', async () => {
    const harness = await running();
    const path = PATH.core('services', 'models');
    const live = harness.api.get(path) as KubeObject & { readonly spec: object };
    harness.api.put(path, {
      ...live,
      metadata: { ...live.metadata, finalizers: ['example.com/hold'] },
      spec: { ...live.spec, type: 'NodePort' },
    });
    harness.api.delete(path);
    const { outcome, writes } = await harness.reconcile();
    expect(writes.filter((write) => write.path === path)).toEqual([]);
    expect(outcome).toMatchObject({ kind: 'requeue' });
    expect(harness.condition('Reconciling')).toBe('True Progressing');
  });

  test('by a foreign Secret for the peer key is a conflict: the key is not taken over', async () => {
    const harness = await openHarness();
    harness.api.put(PATH.core('secrets', 'models-peer-auth'), { data: { key: 'c3RvbGVu' } });
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.message('Ready')).toContain('Secret models-peer-auth');
    expect(harness.api.get(PATH.deployment)).toBeUndefined();
  });
});

describe('a foreign object that appears between the list and the write', () => {
  const theirs = { metadata: { labels: { app: 'theirs' } }, spec: { selector: { app: 'theirs' } } };

  test('under the name of a child that is created is not changed, and is reported', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    let taken: unknown;
    harness.api.onRequest(({ method, path }) => {
      if (method !== 'POST' || path !== PATH.core('services') || taken !== undefined) return;
      taken = harness.api.put(PATH.core('services', 'models-peers'), theirs);
    });
    await harness.reconcile();
    expect(harness.message('Ready')).toContain('Service models-peers exists and does not belong');
    expect(harness.api.get(PATH.core('services', 'models-peers'))).toEqual(taken);
  });

  test('under the name of a child that is updated is not changed: the write fails with a conflict, and the retry reports it', async () => {
    const harness = await running();
    harness.applyCache(`${MINIMAL}  edge: {service: {port: 9000}}\n`);
    let taken: unknown;
    harness.api.onRequest(({ method, path }) => {
      if (method !== 'PATCH' || path !== PATH.core('services', 'models') || taken !== undefined) return;
      harness.api.delete(path);
      taken = harness.api.put(path, theirs);
    });
    await expect(harness.reconcile()).rejects.toMatchObject({ status: 409 });
    expect(harness.api.get(PATH.core('services', 'models'))).toEqual(taken);
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False NameConflict');
    expect(harness.api.get(PATH.core('services', 'models'))).toEqual(taken);
  });

  test('under the name of a child that is deleted is not deleted', async () => {
    const harness = await running();
    harness.applyCache(`${MINIMAL}  replicas: 1\n`);
    let taken: unknown;
    harness.api.onRequest(({ method, path }) => {
      if (method !== 'DELETE' || path !== PATH.budget) return;
      harness.api.delete(path);
      taken = harness.api.put(path, { spec: { minAvailable: 1 } });
    });
    await harness.reconcile();
    expect(harness.api.get(PATH.budget)).toEqual(taken);
  });

  test('does not cause a new key if it is our own Secret that the first read missed', async () => {
    const harness = await running();
    const key = harness.api.get(PATH.core('secrets', 'models-peer-auth'));
    harness.api.fail({
      method: 'GET',
      path: /peer-auth$/,
      times: 1,
      answer: { status: 404, reason: 'NotFound' },
    });
    await harness.reconcile();
    expect(harness.api.get(PATH.core('secrets', 'models-peer-auth'))).toEqual(key);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });
});

describe('changed content of a referenced Secret', () => {
  test('is reloaded by the pods: nothing is written, and no pod is replaced', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys');
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    harness.rollOut(3);
    await harness.reconcile();
    harness.secret('origin-keys', { 'access-key-id': 'AKIANEW', 'secret-access-key': 'new' });
    expect((await harness.reconcile()).writes).toEqual([]);
  });
});

describe('the peer key', () => {
  interface PeerAuth extends Live {
    readonly data: { readonly key: string; readonly 'previous-key'?: string };
  }
  const secretOf = (harness: Harness): PeerAuth =>
    harness.api.get(PATH.core('secrets', 'models-peer-auth')) as PeerAuth;
  const ROTATE = { 'orcacache.dev/rotate-peer-auth': '1' };

  test('is rotated by the annotation; the old key is kept for ten minutes, and no pod is replaced', async () => {
    const harness = await running();
    const before = secretOf(harness).data;
    const pods = harness.deployment().spec;
    harness.applyCache(MINIMAL, ROTATE);
    expect((await harness.reconcile()).outcome).toEqual({
      kind: 'requeue',
      afterMs: 600_000,
      reason: 'RotatingPeerAuth',
    });
    const during = secretOf(harness).data;
    expect(during['previous-key']).toBe(before.key);
    expect(during.key).not.toBe(before.key);

    await harness.clock.advance(599_999);
    // Also after a restart of the operator.
    harness.restart();
    expect((await harness.reconcile()).writes).toEqual([]);
    await harness.clock.advance(1);
    expect((await harness.reconcile()).outcome).toEqual({ kind: 'done' });
    expect(secretOf(harness).data).toEqual({ key: during.key });
    expect((await harness.reconcile()).writes).toEqual([]);
    expect(harness.deployment().spec).toEqual(pods);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });

  test('is rotated again only after the last rotation is complete', async () => {
    const harness = await running();
    harness.applyCache(MINIMAL, ROTATE);
    await harness.reconcile();
    const first = secretOf(harness).data;
    harness.applyCache(MINIMAL, { 'orcacache.dev/rotate-peer-auth': '2' });
    await harness.reconcile();
    expect(secretOf(harness).data).toEqual(first);
    await harness.clock.advance(600_000);
    expect((await harness.reconcile()).outcome).toMatchObject({ afterMs: 0 });
    await harness.reconcile();
    expect(secretOf(harness).data['previous-key']).toBe(first.key);
  });

  test('is not rotated right after its creation, even with the annotation', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL, ROTATE);
    await harness.reconcile();
    const created = secretOf(harness).data;
    await harness.reconcile();
    expect(secretOf(harness).data).toEqual(created);
  });

  test('is not lost when another writer replaces it at the same time', async () => {
    const harness = await running();
    harness.applyCache(MINIMAL, ROTATE);
    const theirs = Buffer.alloc(32, 't').toString('base64');
    let done = false;
    harness.api.onRequest(({ method, path }) => {
      if (method !== 'PATCH' || !path.endsWith('peer-auth') || done) return;
      done = true;
      harness.api.put(path, { data: { key: theirs } });
    });
    await expect(harness.reconcile()).rejects.toMatchObject({ status: 409 });
    await harness.reconcile();
    expect(secretOf(harness).data['previous-key']).toBe(theirs);
  });
});

describe('a network policy', () => {
  test('exists while the spec enables it', async () => {
    const harness = await running(`${MINIMAL}  networkPolicy: {enabled: true}\n`);
    expect(harness.api.get(PATH.networkPolicy)).toBeDefined();
    expect((await harness.reconcile()).writes).toEqual([]);
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.api.get(PATH.networkPolicy)).toBeUndefined();
  });
});

describe('an operator of another version', () => {
  test('rolls out its image once and reports its version', async () => {
    const harness = await running();
    harness.restart('0.2.0');
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False Progressing');
    expect(harness.cache().status?.version).toBe('0.2.0');
    expect(JSON.stringify(harness.deployment().spec.template)).toContain('orcacache/cache:0.2.0');
    harness.rollOut(3);
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('does not replace the pods of a cache with its own image', async () => {
    const harness = await running(`${MINIMAL}  pod: {image: "registry.example/cache:0.0.9"}\n`);
    const before = harness.deployment().spec;
    harness.restart('0.2.0');
    const { writes } = await harness.reconcile();
    expect(writes.map(({ path }) => path)).toEqual([`${PATH.cache}/status`]);
    expect(harness.deployment().spec).toEqual(before);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });
});

describe('a deleted cache', () => {
  test('needs no writes: garbage collection deletes all children', async () => {
    const harness = await running();
    harness.api.delete(PATH.cache);
    expect(await harness.reconcile()).toEqual({ outcome: { kind: 'done' }, writes: [] });
    harness.api.collectGarbage();
    for (const plural of ['serviceaccounts', 'secrets', 'configmaps', 'services', 'pods'])
      expect(harness.api.list(PATH.core(plural))).toEqual([]);
    expect(harness.api.get(PATH.deployment)).toBeUndefined();
    expect(harness.api.get(PATH.budget)).toBeUndefined();
  });
});

describe('a paused cache', () => {
  test('is not changed, and reports Paused', async () => {
    const harness = await running();
    harness.applyCache(OTHER_CONFIG, { 'orcacache.dev/paused': 'true' });
    const before = harness.deployment();
    const { outcome } = await harness.reconcile();
    expect(outcome).toEqual({ kind: 'done' });
    expect(harness.deployment()).toEqual(before);
    expect(harness.condition('Ready')).toBe('Unknown Paused');
  });
});

describe('a failure of the API server', () => {
  test('during a reconcile is thrown, does not change the status, and the next reconcile completes the work', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /services$/, times: 1, answer: { status: 500 } });
    await expect(harness.reconcile()).rejects.toMatchObject({ status: 500 });
    expect(harness.cache().status?.conditions).toBeUndefined();
    await harness.reconcile();
    expect(harness.api.get(PATH.deployment)).toBeDefined();
  });

  test('between creating a child and owning its fields is repaired by the next reconcile', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'PATCH', path: /deployments/, times: 1, answer: 'reset' });
    await expect(harness.reconcile()).rejects.toThrow(/deployments/);
    expect(harness.deployment().metadata.managedFields).toMatchObject([{ operation: 'Update' }]);
    await harness.reconcile();
    expect(harness.deployment().metadata.managedFields).toMatchObject([{ operation: 'Apply' }]);
  });

  test('to accept an event has no effect', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ path: /events$/, answer: { status: 403, reason: 'Forbidden' } });
    expect((await harness.reconcile()).outcome.kind).toBe('requeue');
  });
});

describe('a rejected child', () => {
  test('stalls the cache with the reason if the spec is the cause, until the spec changes', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    const stop = harness.api.fail({ method: 'POST', path: /deployments$/, answer: { status: 422, reason: 'Invalid' } });
    const { outcome } = await harness.reconcile();
    expect(outcome).toMatchObject({ kind: 'stalled', reason: 'InvalidSpec' });
    expect(harness.condition('Stalled')).toBe('True InvalidSpec');
    expect(harness.message('Stalled')).toContain('Deployment models');
    stop();
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('is retried and reported for missing rights or an exceeded quota', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /deployments$/, times: 1, answer: { status: 403, reason: 'Forbidden' } });
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 30_000 });
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.message('Reconciling')).toContain('Deployment models');
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('that is the peer Secret is reported without the API server’s message', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /secrets$/, answer: { status: 422, reason: 'Invalid' } });
    await harness.reconcile();
    expect(harness.message('Stalled')).toBe('Secret models-peer-auth rejected by the API server: Invalid');
  });
});

describe('events', () => {
  test('are written for each change, and never twice for the same', async () => {
    const harness = await running();
    await harness.reconcile();
    await harness.reconcile();
    const events = harness.api.list(PATH.events) as unknown as { reason: string; type: string; eventTime: string }[];
    expect(events.map(({ reason }) => reason).toSorted()).toEqual(['Progressing', 'ReplicasReady']);
    for (const { eventTime } of events) expect(eventTime).toMatch(/\.\d{6}Z$/);
  });

  test('have names that sort by time, since kubectl sorts them by name', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    await harness.clock.advance(1);
    harness.rollOut(3);
    await harness.reconcile();
    const events = harness.api.list(PATH.events) as unknown as { metadata: { name: string }; reason: string }[];
    const byName = events.toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
    expect(byName.map(({ reason }) => reason)).toEqual(['Progressing', 'ReplicasReady']);
    for (const { metadata } of events) expect(metadata.name).toMatch(/^models\.[0-9a-f]{21}$/);
  });
});
