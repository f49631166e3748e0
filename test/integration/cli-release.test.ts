/** What `hack/release cli` builds: the executable and the package run without this checkout and its node_modules. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import packageJson from '#package' with { type: 'json' };
import { bundle } from '#hack/release.d/bundle.ts';
import { buildExecutable } from '#hack/release.d/executable.ts';
import { licensesOf } from '#hack/release.d/licenses.ts';
import { packNpm } from '#hack/release.d/npm-package.ts';
import { healthyWorld } from '#test/support/cli-world.ts';
import { kubeconfigOf } from '#test/support/kubeconfig.ts';

const run = promisify(execFile);
/** The executable is a copy of Node.js, 150 MB. */
const BUILD_TIMEOUT_MS = 300_000;

const owned = new AsyncDisposableStack();
let folder = '';
let executable = '';
let modules: readonly string[] = [];
let code = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orca-release-test-'));
  owned.defer(() => rm(folder, { recursive: true }));
  ({ code, modules } = await bundle('cache/cli/main.ts'));
  executable = join(folder, 'kubectl-orca');
  await buildExecutable({ code, output: executable });
}, BUILD_TIMEOUT_MS);
afterAll(() => owned.disposeAsync());

/** With an empty environment: no PATH with a Node.js, no settings of a shell. */
function orca(...args: readonly string[]) {
  return run(executable, args, { cwd: folder, env: { HOME: folder } });
}

/** An API server with one cache, whose pods answer `/status`, `/top` and `/store`. */
async function startApiServer(): Promise<string> {
  const { cache, pods } = healthyWorld();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://api');
    const pod = pods.find(({ name }) => pathname.includes(`/${name}:8442/proxy/`));
    const answers: Record<string, unknown> = { '/status': pod?.status, '/top': pod?.top, '/store': pod?.store };
    const [, path = ''] = pathname.split('/proxy');
    const list = pathname.endsWith('/orcacaches') ? [cache] : pods.map(({ resource }) => resource);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(pod === undefined ? { items: list, metadata: {} } : answers[path]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  owned.defer(() => void server.close());
  const kubeconfig = join(folder, 'config');
  const { port } = server.address() as AddressInfo;
  const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  await writeFile(kubeconfig, kubeconfigOf({ cluster, user: { token: 't' }, namespace: 'ml' }));
  return kubeconfig;
}

test('the executable shows its version and its help', async () => {
  expect(await orca('--version')).toEqual({ stdout: `${packageJson.version}\n`, stderr: '' });
  const { stdout, stderr } = await orca('--help');
  expect([stdout, stderr]).toEqual([expect.stringContaining('kubectl orca COMMAND'), '']);
  expect((await orca('prewarm', '--help')).stdout).toContain('--include=[]');
});

test('the executable reads a kubeconfig and queries a cluster', async () => {
  const { stdout, stderr } = await orca('status', 'models', '--kubeconfig', await startApiServer());
  expect([stdout, stderr]).toEqual([expect.stringContaining('2 of 2 ready'), '']);
});

test('the executable ends with a message and 1 for a wrong argument', async () => {
  await expect(orca('ls', 'models')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: 'models'/),
  });
});

test('the package is installed by npm, and its program runs', async () => {
  const thirdParty = licensesOf(modules);
  const archive = await packNpm({ code, license: 'Apache-2.0', thirdParty, folder: join(folder, 'npm') });
  const local = join(folder, 'kubectl-orca.tgz');
  await copyFile(archive, local);
  const prefix = join(folder, 'installed');
  await run('npm', ['install', '--global', '--offline', '--ignore-scripts', '--prefix', prefix, local]);
  const { stdout } = await run(join(prefix, 'bin/kubectl-orca'), ['version']);
  expect(stdout).toBe(`${packageJson.version}\n`);
});

test('the licenses of the libraries in the bundle are part of it', () => {
  const text = licensesOf(modules);
  for (const name of ['@kubernetes/client-node', 'yaml']) expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
  expect(text).toContain('Apache License');
  expect(text).not.toContain('@aws-sdk');
});
