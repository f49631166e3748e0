/**
 * `kubectl orca` with a real API server: with exactly the rights that docs/reference/cli.md names, to a pod whose ops port
 * is a recorded one on this machine. API servers connect to no loopback address, so it listens on another one.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { connect } from '#cache/cli/cluster/connect.ts';
import { API_VERSION, PLURAL, POD_PORT } from '#crds/names.ts';
import { collectionPath } from '#operator/api/manifest.ts';
import { systemClock } from '#shared/clock.ts';
import { PATCH } from '#shared/kube/client.ts';
import { sampleWith } from '#test/crds/sample.ts';
import { healthyWorld, runCli, type World } from '#test/support/cli-world.ts';
import { openControlPlane, OPERATOR_USER, type ControlPlane } from '#test/support/control-plane.ts';
import { installCrds } from './install.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/ml';
const started = new AsyncDisposableStack();
let plane: ControlPlane;
let world: World;

beforeAll(async () => {
  plane = started.use(await openControlPlane());
  const { kube } = plane;
  await installCrds(kube);
  await kube.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ml' } } });
  const cache = sampleWith({ 'metadata.namespace': 'ml', 'metadata.name': 'models', 'spec.replicas': 1 });
  await kube.request('POST', collectionPath(API_VERSION, PLURAL, 'ml'), { body: cache });
  world = healthyWorld();
  const podIP = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (podIP === undefined) throw new Error('this test needs an address other than those of loopback');
  const server = await servePod(podIP);
  started.defer(() => void server.close());
  await createPod(podIP);
});
afterAll(() => started.disposeAsync());

/** `/objects` echoes the key that arrived. */
async function servePod(host: string): Promise<Server> {
  const pod = world.pods[0]!;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://pod');
    const objects = { key: searchParams.get('key'), sizeBytes: 0, chunks: [], etag: searchParams.get('key') };
    const answers: Record<string, unknown> = {
      '/status': pod.status,
      '/top': pod.top,
      '/store': pod.store,
      '/objects': objects,
      '/pins': { pins: [] },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[pathname]));
  });
  await new Promise<void>((resolve) => server.listen(POD_PORT.ops, host, resolve));
  return server;
}

async function createPod(podIP: string): Promise<void> {
  const { kube } = plane;
  const labels = {
    'app.kubernetes.io/name': 'orcacache',
    'app.kubernetes.io/instance': 'models',
    'app.kubernetes.io/component': 'cache',
  };
  await kube.request('POST', '/api/v1/namespaces/ml/serviceaccounts', { body: { metadata: { name: 'default' } } });
  await kube.request('POST', '/api/v1/namespaces/ml/pods', {
    body: {
      metadata: { name: 'models-a', labels },
      spec: { automountServiceAccountToken: false, containers: [{ name: 'cache', image: 'orcacache/cache:test' }] },
    },
  });
  await kube.request('PATCH', '/api/v1/namespaces/ml/pods/models-a/status', {
    contentType: PATCH.merge,
    body: {
      status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] },
    },
  });
}

/** The Role of the page, with the first `rules` of its rules. */
async function grant(rules: number): Promise<void> {
  const page = readFileSync('docs/reference/cli.md', 'utf8');
  const [, yaml = ''] = /```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(page) ?? [];
  const role = parse(yaml) as { metadata: { name: string }; rules: unknown[] };
  const { name } = role.metadata;
  const { kube } = plane;
  for (const path of [`${RBAC}/rolebindings/${name}`, `${RBAC}/roles/${name}`])
    await kube.request('DELETE', path).catch(() => {});
  await kube.request('POST', `${RBAC}/roles`, { body: { ...role, rules: role.rules.slice(0, rules) } });
  const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: OPERATOR_USER }];
  const roleRef = { kind: 'Role', apiGroup: 'rbac.authorization.k8s.io', name };
  await kube.request('POST', `${RBAC}/rolebindings`, { body: { metadata: { name }, subjects, roleRef } });
}

function cli(words: readonly string[]) {
  const more = ['-n', 'ml', '--kubeconfig', plane.kubeconfig(OPERATOR_USER)];
  return runCli([...words, ...more], world, { connect, clock: systemClock });
}

test('without rights: what is missing', async () => {
  const { exitCode, err } = await cli(['status']);
  expect([exitCode, err]).toEqual([1, expect.stringContaining('cannot list resource "orcacaches"')]);
  await grant(2);
  const doctor = await cli(['doctor', 'models']);
  expect([doctor.exitCode, doctor.out]).toEqual([1, expect.stringContaining('cannot get resource "pods/proxy"')]);
});

test('with get of pods/proxy: status, doctor, and keys as they are', async () => {
  await grant(3);
  const { exitCode, out, err } = await cli(['status', 'models']);
  expect([exitCode, err]).toEqual([0, '']);
  expect(out).toContain('1 of 1 ready');
  for (const key of ['a b+c%2F?x=1&y#z', 'ü/../😀', "it's//"]) {
    const { out: json } = await cli(['explain', `s3://models/${key}`, '-o', 'json']);
    expect(JSON.parse(json)).toMatchObject({ etag: key });
  }
  expect((await cli(['purge', 's3://models/a'])).err).toContain('cannot get resource "pods/exec"');
});

test('with pods/exec the purge gets to the node', async () => {
  await grant(4);
  // The pod has no node here. The API server answers that only after it has admitted the request.
  expect((await cli(['purge', 's3://models/a'])).err).toMatch(/does not have a host assigned/);
});

test('prewarm, pin, unpin and pins with rights for orcaprewarms', async () => {
  await grant(4);
  const forbidden = await cli(['prewarm', 's3://models/llama/']);
  expect([forbidden.exitCode, forbidden.err]).toEqual([1, expect.stringContaining('cannot create resource')]);
  await grant(5);
  const every = ['--include', '**/*.bin', '--include', '*.json', '--exclude', 'old/**', '--rate', '500Mi/s'];
  const more = [...every, '--parallelism', '8', '--deadline', '2h', '--pin', '7d', '--keep', '30m'];
  const created = await cli(['prewarm', 's3://models/llama/', '--name', 'llama', ...more]);
  expect([created.exitCode, created.out]).toEqual([0, 'orcaprewarm.orcacache.dev/llama created\n']);
  expect((await cli(['prewarm', 's3://models/', '--name', 'llama'])).err).toContain('exists already');
  const generated = await cli(['pin', 's3://models/UPPER_x/']);
  expect(generated.out).toMatch(/^orcaprewarm\.orcacache\.dev\/upper-x-[a-z0-9]{5} created\n$/);
  const { out: json } = await cli(['pins', '-o', 'json']);
  expect((JSON.parse(json) as { items: unknown[] }).items).toMatchObject([
    { name: 'llama', madeBy: 'resource', targets: ['s3://models/llama/'], bytes: null },
    { madeBy: 'pin', targets: ['s3://models/UPPER_x/'] },
  ]);
  expect((await cli(['unpin', 'llama'])).err).toContain('which kubectl orca pin has not created');
  expect((await cli(['unpin', 's3://models/UPPER_x/'])).exitCode).toBe(0);
  expect((await cli(['unpin', 's3://models/UPPER_x/'])).err).toContain('nothing pins s3://models/UPPER_x/');
  // The API server's own words about a value that it does not accept.
  const rejected = await cli(['prewarm', 's3://models/', '--name', 'Not_A_Name']);
  expect([rejected.exitCode, rejected.err]).toEqual([1, expect.stringMatching(/^error: POST .*422 .*Not_A_Name/)]);
});

test('prewarm --wait follows the status to its end', async () => {
  await grant(5);
  const path = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/waited';
  const status = (state: string, done: number) => ({
    observedGeneration: 1,
    state,
    runs: 1,
    listed: true,
    objects: { total: 10, done, failed: 0 },
    bytes: { total: 1000, done: done * 100, fromOrigin: done * 100, alreadyStored: 0 },
    conditions: [],
  });
  const patch = (body: unknown) =>
    plane.kube.request('PATCH', `${path}/status`, { contentType: PATCH.merge, body: { status: body } });
  const waiting = cli(['prewarm', 's3://models/waited/', '--name', 'waited', '--wait', '-o', 'json']);
  await expect
    .poll(
      () =>
        plane.kube.request('GET', path).then(
          () => true,
          () => false,
        ),
      { timeout: 30_000 },
    )
    .toBe(true);
  await patch(status('Running', 3));
  await patch(status('Complete', 10));
  const { exitCode, out, err } = await waiting;
  expect([exitCode, JSON.parse(out)]).toMatchObject([0, { kind: 'Prewarm', state: 'Complete', bytes: { done: 1000 } }]);
  expect(err).toContain('100 %  1/1Ki  10/10 objects  complete');
});

test('a dry run is a manifest that the API server accepts', async () => {
  const { out } = await cli(['prewarm', 's3://models/llama/', '--include', '*.json', '--pin', 'forever', '--dry-run']);
  const body = { ...(parse(out) as object) };
  const query = { dryRun: 'All', fieldValidation: 'Strict' };
  const collection = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms';
  await plane.kube.request('POST', collection, { query, body: { ...body, metadata: { name: 'dry' } } });
});
