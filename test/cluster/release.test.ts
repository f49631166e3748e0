/**
 * A release is installed from its folder alone, as on a cluster without access to a registry: its images are imported
 * into the nodes, its `install.yaml` is applied, and its chart creates a cache.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { CRD_NAME, PREWARM } from '#crds/names.ts';
import { putObjectTo } from './cache-clients.ts';
import { becomes, BUCKET, cache, eventually, s3Server, secret, START_MS } from './operator-world.ts';

const run = promisify(execFile);
const VERSION = '0.0.0-test';
const NAMESPACE = `release-test-${process.pid}`;
const SYSTEM = 'orcacache-system';
const CACHE = 'models';
const SECRET = 'keys';
/** The nodes run on this machine. */
const PLATFORM = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;
const CRDS = [CRD_NAME, PREWARM.crdName];

const owned = new AsyncDisposableStack();
let folder = '';
let newCrds: string[] = [];

async function kubectl(...args: readonly string[]): Promise<string> {
  return (await run('kubectl', args)).stdout;
}
const inNamespace = (...args: readonly string[]) => kubectl('-n', NAMESPACE, ...args);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orca-release-test-'));
  owned.defer(() => rm(folder, { recursive: true }));
  const out = join(folder, 'release');
  // Only what a cluster needs. The other platform and the executables have tests of their own.
  await run('hack/release', [VERSION, '--out', out, '--platform', PLATFORM, '--without-cli', '--allow-dirty']);
  folder = out;
  await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
  const archives = ['cache', 'operator'].map((name) => join(out, `orcacache-${name}-${VERSION}.tar`));
  await run('hack/cluster', ['load', ...archives]);

  const found = await kubectl('get', 'crd', '-o', 'name');
  newCrds = CRDS.filter((name) => !found.includes(name));
  owned.defer(async () => {
    await kubectl('delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/instance=orcacache');
    await kubectl('delete', 'namespace', SYSTEM, '--wait=false');
    for (const name of newCrds) await kubectl('delete', 'crd', name, '--timeout=60s');
  });
  await kubectl('apply', '-f', join(out, 'install.yaml'));
  await kubectl('-n', SYSTEM, 'rollout', 'status', 'deployment/orcacache', '--timeout=120s');

  await kubectl('create', 'namespace', NAMESPACE);
  owned.defer(async () => void (await kubectl('delete', 'namespace', NAMESPACE, '--wait=false')));
  const objects = join(folder, 'objects.yaml');
  await writeFile(objects, [...s3Server(), secret(SECRET)].map((object) => stringify(object)).join('---\n'));
  await inNamespace('apply', '-f', objects);
  await inNamespace('wait', '--for=condition=Ready', 'pod/s3', '--timeout=120s');
  const host = await inNamespace('get', 'pod', 's3', '-o', 'jsonpath={.status.podIP}');
  await putObjectTo(`${host}:7070`, 'hello.txt', Buffer.from('hello\n'));
});
afterAll(() => owned.disposeAsync());

test('a cache of the released chart serves an object', async () => {
  const { spec } = cache(CACHE, { secret: SECRET, replicas: 2 }) as { readonly spec: object };
  const values = join(folder, 'values.yaml');
  await writeFile(values, stringify({ caches: { [CACHE]: { spec } } }));
  const chart = join(folder, `orcacache-cluster-${VERSION}.tgz`);
  await run('helm', ['install', 'caches', chart, '-n', NAMESPACE, '-f', values]);
  owned.defer(async () => {
    await run('helm', ['uninstall', 'caches', '-n', NAMESPACE, '--wait', '--timeout', '60s']);
  });
  const ready = '{.status.conditions[?(@.type=="Ready")].status}';
  await becomes(() => inNamespace('get', 'orca', CACHE, '-o', `jsonpath=${ready}`), 'True', START_MS);
  const edge = `/api/v1/namespaces/${NAMESPACE}/services/${CACHE}:edge/proxy/${BUCKET}/hello.txt`;
  await eventually(async () => expect(await kubectl('get', '--raw', edge)).toBe('hello\n'));
});

test('operator and cache pods run the images of the release, and report its version', async () => {
  const images = '{.items[*].spec.containers[*].image}';
  expect(await kubectl('-n', SYSTEM, 'get', 'pods', '-o', `jsonpath=${images}`)).toBe(`orcacache/operator:${VERSION}`);
  const pods = await inNamespace(
    'get',
    'pods',
    '-l',
    `app.kubernetes.io/instance=${CACHE}`,
    '-o',
    `jsonpath=${images}`,
  );
  expect(pods.split(' ')).toEqual([`orcacache/cache:${VERSION}`, `orcacache/cache:${VERSION}`]);
  expect(await inNamespace('get', 'orca', CACHE, '-o', 'jsonpath={.status.version}')).toBe(VERSION);
});
