import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import type { Live } from '#operator/api/manifest.ts';
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

/** A cache whose pods are all ready. */
async function running(yaml = MINIMAL): Promise<Harness> {
  const harness = await openHarness();
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
  test('gets its children, in order, each owned by it', async () => {
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

  test('owns the fields of its children by apply from the first reconcile on', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.deployment().metadata.managedFields).toMatchObject([
      { manager: 'orca-operator', operation: 'Apply' },
    ]);
  });

  test('is ready when its replicas are, and then a reconcile writes nothing', async () => {
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

  test('is not ready before a replica has proven the configuration, whatever the Deployment says', async () => {
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

  test('scaled to nothing from the start is ready without anybody to prove it', async () => {
    const harness = await openHarness();
    harness.applyCache(`${MINIMAL}  replicas: 0\n`);
    await harness.reconcile();
    harness.rollOut(0);
    expect((await harness.reconcile()).outcome).toEqual({ kind: 'done' });
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });
});

describe('an unchanged cache', () => {
  test('is left alone, also by a new process, a bare status apart', async () => {
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
    ['other replicas', PATH.deployment, undefined],
  ] as const)('is repaired: %s', async ([, path, change]) => {
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

  test('of a deleted child is repaired', async () => {
    const harness = await running();
    harness.api.delete(PATH.core('services', 'models'));
    await harness.reconcile();
    expect(harness.api.get(PATH.core('services', 'models'))).toBeDefined();
  });

  test('by another manager in fields that we do not send is not ours to repair', async () => {
    const harness = await running();
    const service = harness.api.get(PATH.core('services', 'models')) as { spec?: object };
    harness.api.put(PATH.core('services', 'models'), { spec: { ...service.spec, sessionAffinity: 'ClientIP' } });
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('of nonsense in the runtime file is repaired without losing what is proven', async () => {
    const harness = await running();
    harness.api.put(PATH.core('configmaps', 'models-runtime'), { data: { 'runtime.yaml': '{{: nonsense' } });
    await harness.reconcile();
    expect(runtime(harness)).toMatchObject({ logLevel: 'info', provenConfigs: [harness.cache().status?.configHash] });
  });
});

describe('a change of the spec', () => {
  test('makes a new config file, rolls the pods, and keeps the old file while a ReplicaSet names it', async () => {
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
    // Old pods that restart now must not wait for a proof that they have given long ago.
    expect(runtime(harness).provenConfigs).toEqual([oldHash]);

    harness.rollOut(3);
    await harness.reconcile();
    // Pods of the old one may be started again as long as a ReplicaSet names it.
    expect(runtime(harness).provenConfigs).toEqual([oldHash, newHash].toSorted());
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.configMaps()).toContain(`models-config-${oldHash}`);

    harness.api.delete(`${PATH.replicaSets}/models-${oldHash}`);
    await harness.reconcile();
    expect(harness.configMaps()).toEqual([`models-config-${newHash}`, 'models-runtime']);
    expect(runtime(harness).provenConfigs).toEqual([newHash]);
  });

  test('of a reloaded key changes the runtime file and no pod', async () => {
    const harness = await running();
    const before = harness.deployment().spec;
    harness.applyCache(`${MINIMAL}  logLevel: debug\n`);
    await harness.reconcile();
    expect(runtime(harness).logLevel).toBe('debug');
    expect(harness.deployment().spec).toEqual(before);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });

  test('of the replicas reaches the Deployment', async () => {
    const harness = await running();
    harness.applyCache(`${MINIMAL}  replicas: 5\n`);
    await harness.reconcile();
    expect(harness.deployment().spec.replicas).toBe(5);
    expect(harness.condition('Ready')).toBe('False Progressing');
  });

  test('that drops a field drops it from the child too', async () => {
    const harness = await running(`${MINIMAL}  pod: {priorityClassName: high, env: [{name: A, value: b}]}\n`);
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    const pod = (harness.deployment().spec as unknown as { template: { spec: { priorityClassName?: string } } })
      .template.spec;
    expect(pod.priorityClassName).toBeUndefined();
    expect(JSON.stringify(pod)).not.toContain('"A"');
  });

  test('that asks for a child no more deletes it', async () => {
    const harness = await running();
    expect(harness.api.get(PATH.budget)).toBeDefined();
    harness.applyCache(`${MINIMAL}  replicas: 1\n`);
    await harness.reconcile();
    expect(harness.api.get(PATH.budget)).toBeUndefined();
  });
});

describe('a broken change to a running cache', () => {
  test('is reported in the words of its pod, keeps what the old pods need, and heals when it is taken back', async () => {
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
    expect(harness.message('Stalled')).toContain('3 replicas of the previous configuration are kept');
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

/** A cache that has been taken up, whose pods answer so on their ops listener. */
async function harnessOfPods(answer: RequestListener): Promise<Harness> {
  const pod = createServer(answer);
  onTestFinished(() => void pod.close());
  await new Promise<void>((resolve) => {
    pod.listen(0, '127.0.0.1', resolve);
  });
  const harness = await openHarness((pod.address() as AddressInfo).port);
  harness.applyCache(MINIMAL);
  await harness.reconcile();
  return harness;
}

describe('a rollout that does not get on', () => {
  test('is told in the words of the pod that is not ready', async () => {
    const harness = await harnessOfPods((request, response) => {
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

describe('what the pods say of origin and store', () => {
  async function podsThatSay(report: object): Promise<{ harness: Harness; say: (next: object) => void }> {
    let said = report;
    const harness = await harnessOfPods((_request, response) => void response.end(JSON.stringify(said)));
    harness.rollOut(3);
    await harness.reconcile();
    return { harness, say: (next) => void (said = next) };
  }
  const store = { breaker: 'closed', condition: 'atomic', message: 'atomic', problems: [] };
  const good = { origin: { models: { state: 'reachable', message: '' } }, store };
  const bad = (requestId: string) => ({ origin: { models: { state: 'failed', message: requestId } }, store });

  test('is in two conditions of their own', async () => {
    const { harness } = await podsThatSay(good);
    expect(harness.condition('OriginReachable')).toBe('True Reachable');
    expect(harness.condition('CacheStoreReady')).toBe('True Atomic');
    expect((await harness.reconcile()).writes).toEqual([]);
  });

  test('changes nothing else when the origin goes away, is told once, and comes back', async () => {
    const { harness, say } = await podsThatSay(good);
    say(bad('request 1'));
    await harness.clock.advance(60_000);
    await harness.reconcile();
    expect(harness.condition('OriginReachable')).toBe('False Unreachable');
    expect(harness.message('OriginReachable')).toContain('bucket models: request 1 (pod models-');
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
    expect(harness.condition('Stalled')).toBe('False ReplicasReady');
    say(bad('request 2'));
    await harness.clock.advance(60_000);
    expect((await harness.reconcile()).writes).toEqual([]);
    say(good);
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
});

describe('a Secret that is named', () => {
  test('but missing is waited for by name, changes no child, and heals when it appears', async () => {
    const harness = await openHarness();
    harness.applyCache(WITH_SECRETS);
    const { outcome } = await harness.reconcile();
    expect(outcome).toEqual({ kind: 'requeue', afterMs: 15_000, reason: 'WaitingForSecret' });
    expect(harness.condition('Reconciling')).toBe('True WaitingForSecret');
    expect(harness.condition('Ready')).toBe('False WaitingForSecret');
    expect(harness.message('Reconciling')).toBe(
      'Secret origin-keys (spec.origin.s3.credentialsSecretRef) does not exist',
    );
    expect(harness.api.get(PATH.deployment)).toBeUndefined();

    harness.secret('origin-keys');
    await harness.reconcile();
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.api.get(PATH.deployment)).toBeDefined();
  });

  test('is a stall when it is still missing after a minute, is looked for ever after, and heals then too', async () => {
    const harness = await openHarness();
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    await harness.clock.advance(50_000);
    // Not later than the minute is over.
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

  test('goes on being waited for where a restarted operator left it', async () => {
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

  test('but lacks a key is a stall at once, with the key and without a value', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { 'access-key-id': 'AKIAHIDDEN' });
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('True SecretMalformed');
    expect(harness.message('Stalled')).toBe(
      'Secret origin-keys (spec.origin.s3.credentialsSecretRef) lacks the key secret-access-key',
    );
    harness.secret('origin-keys');
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('that must hold one of two keys is a stall with none and with both', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { other: 'x' });
    harness.applyCache(WITH_AZURE_SECRET);
    await harness.reconcile();
    expect(harness.message('Stalled')).toBe(
      'Secret origin-keys (spec.origin.azureBlob.credentialsSecretRef) lacks one of the keys account-key, sas-token',
    );
    harness.secret('origin-keys', { 'account-key': 'a', 'sas-token': 'b' });
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('True SecretMalformed');
    expect(harness.message('Stalled')).toBe(
      'Secret origin-keys (spec.origin.azureBlob.credentialsSecretRef) must hold only one of the keys account-key, sas-token',
    );
    harness.secret('origin-keys', { 'sas-token': 'b' });
    await harness.reconcile();
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('and goes while the cache runs leaves it ready, and says so', async () => {
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

  test('stays out of logs, events, statuses and ConfigMaps', async () => {
    const harness = await openHarness();
    harness.secret('origin-keys', { 'access-key-id': 'AKIAHIDDEN', 'secret-access-key': 'hush-hush' });
    harness.applyCache(WITH_SECRETS);
    await harness.reconcile();
    harness.rollOut(3);
    await harness.reconcile();
    const { data } = harness.api.get(PATH.core('secrets', 'models-peer-auth')) as unknown as { data: { key: string } };
    const told = JSON.stringify([
      harness.lines,
      harness.cache(),
      harness.api.list(PATH.events),
      harness.api.list(PATH.core('configmaps')),
    ]);
    expect(harness.api.list(PATH.events)).not.toEqual([]);
    for (const secret of ['AKIAHIDDEN', 'hush-hush', Buffer.from('hush-hush').toString('base64'), data.key])
      expect(told).not.toContain(secret);
  });
});

describe("a child's name that is taken", () => {
  test('by somebody else is a conflict with that name; the object is left as it is', async () => {
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

  test('with our labels on it is a conflict all the same', async () => {
    const harness = await openHarness();
    harness.api.put(PATH.core('configmaps', 'models-runtime'), {
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'orca-operator', 'app.kubernetes.io/instance': 'models' } },
    });
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.condition('Ready')).toBe('False NameConflict');
  });

  test('by a deleted cache of the same name is waited for', async () => {
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

  test('for the peer key by a foreign Secret is a conflict: the key is not taken over', async () => {
    const harness = await openHarness();
    harness.api.put(PATH.core('secrets', 'models-peer-auth'), { data: { key: 'c3RvbGVu' } });
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.message('Ready')).toContain('Secret models-peer-auth');
    expect(harness.api.get(PATH.deployment)).toBeUndefined();
  });
});

describe('an object that takes the name of a child between the look and the write', () => {
  const theirs = { metadata: { labels: { app: 'theirs' } }, spec: { selector: { app: 'theirs' } } };

  test('of a child that is to be made is left as it is, and reported', async () => {
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

  test('of a child that is to be changed is left as it is: the write is refused, and the next try sees why', async () => {
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

  test('of a child that is to be deleted is left as it is', async () => {
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

  test('and one that is only seen late is no reason to make another key: what exists is read again', async () => {
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

describe('new content of a Secret that is named', () => {
  test('is the pods’ to take up: nothing is written, and no pod is replaced', async () => {
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

describe('the key of the replicas', () => {
  interface PeerAuth extends Live {
    readonly data: { readonly key: string; readonly 'previous-key'?: string };
  }
  const secretOf = (harness: Harness): PeerAuth =>
    harness.api.get(PATH.core('secrets', 'models-peer-auth')) as PeerAuth;
  const ROTATE = { 'orcacache.dev/rotate-peer-auth': '1' };

  test('is exchanged when the annotation asks, with the old one beside it for ten minutes, and no pod is replaced', async () => {
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
    // Also by another process.
    harness.restart();
    expect((await harness.reconcile()).writes).toEqual([]);
    await harness.clock.advance(1);
    expect((await harness.reconcile()).outcome).toEqual({ kind: 'done' });
    expect(secretOf(harness).data).toEqual({ key: during.key });
    expect((await harness.reconcile()).writes).toEqual([]);
    expect(harness.deployment().spec).toEqual(pods);
    expect(harness.condition('Ready')).toBe('True ReplicasReady');
  });

  test('is exchanged again only when the last exchange is over', async () => {
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

  test('is not exchanged right after it was made, though the annotation was there before', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL, ROTATE);
    await harness.reconcile();
    const made = secretOf(harness).data;
    await harness.reconcile();
    expect(secretOf(harness).data).toEqual(made);
  });

  test('is not lost when somebody puts another there at the same moment', async () => {
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
  test('is there while the spec asks for it', async () => {
    const harness = await running(`${MINIMAL}  networkPolicy: {enabled: true}\n`);
    expect(harness.api.get(PATH.networkPolicy)).toBeDefined();
    expect((await harness.reconcile()).writes).toEqual([]);
    harness.applyCache(MINIMAL);
    await harness.reconcile();
    expect(harness.api.get(PATH.networkPolicy)).toBeUndefined();
  });
});

describe('an operator of another version', () => {
  test('brings its image to the pods, one rollout, and says its version', async () => {
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

  test('leaves the pods of a cache that names its own image, whatever their version says of itself', async () => {
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
  test('is done with; its children go by garbage collection, and nothing is left', async () => {
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
  test('is not touched, and says so', async () => {
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
  test('in the middle is thrown, says nothing in the status, and is made good by the next reconcile', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /services$/, times: 1, answer: { status: 500 } });
    await expect(harness.reconcile()).rejects.toMatchObject({ status: 500 });
    expect(harness.cache().status?.conditions).toBeUndefined();
    await harness.reconcile();
    expect(harness.api.get(PATH.deployment)).toBeDefined();
  });

  test('between creating a child and owning its fields is made good too', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'PATCH', path: /deployments/, times: 1, answer: 'reset' });
    await expect(harness.reconcile()).rejects.toThrow(/deployments/);
    expect(harness.deployment().metadata.managedFields).toMatchObject([{ operation: 'Update' }]);
    await harness.reconcile();
    expect(harness.deployment().metadata.managedFields).toMatchObject([{ operation: 'Apply' }]);
  });

  test('to take an event changes nothing', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ path: /events$/, answer: { status: 403, reason: 'Forbidden' } });
    expect((await harness.reconcile()).outcome.kind).toBe('requeue');
  });
});

describe('a refusal of a child', () => {
  test('for what the spec asks is a stall with the reason, until the spec changes', async () => {
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

  test('for missing rights or a quota is told and tried again', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /deployments$/, times: 1, answer: { status: 403, reason: 'Forbidden' } });
    expect((await harness.reconcile()).outcome).toMatchObject({ kind: 'requeue', afterMs: 30_000 });
    expect(harness.condition('Reconciling')).toBe('True Progressing');
    expect(harness.message('Reconciling')).toContain('Deployment models');
    expect(harness.condition('Stalled')).toBe('False Progressing');
  });

  test('of the peer Secret is told without the words of the API server', async () => {
    const harness = await openHarness();
    harness.applyCache(MINIMAL);
    harness.api.fail({ method: 'POST', path: /secrets$/, answer: { status: 422, reason: 'Invalid' } });
    await harness.reconcile();
    expect(harness.message('Stalled')).toBe('Secret models-peer-auth: Invalid');
  });
});

describe('events', () => {
  test('are written when something turns, and never for the same again', async () => {
    const harness = await running();
    await harness.reconcile();
    await harness.reconcile();
    const events = harness.api.list(PATH.events) as unknown as { reason: string; type: string; eventTime: string }[];
    expect(events.map(({ reason }) => reason).toSorted()).toEqual(['Progressing', 'ReplicasReady']);
    for (const { eventTime } of events) expect(eventTime).toMatch(/\.\d{6}Z$/);
  });

  test('have names in the order of their time, by which kubectl shows them', async () => {
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
