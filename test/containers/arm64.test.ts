/**
 * The images of a release for arm64, started from their layers, and its executable: by an emulator where this machine is
 * another one.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import packageJson from '#package' with { type: 'json' };
import { freePort } from '#hack/lab/free-ports.ts';
import { http, sha256 } from '#test/support/http.ts';
import { kubeconfigOf } from '#test/support/kubeconfig.ts';
import { readMetric } from '#test/support/metric.ts';
import { syntheticBytes } from '#test/support/synthetic-content.ts';
import { startSyntheticOrigin } from '#test/support/synthetic-s3.ts';
import { findTool } from '#test/support/tools.ts';

const run = promisify(execFile);
const VERSION = '0.0.0-test';
const USER = '10001:10001';
const NODE = '/usr/local/bin/node';
const BUCKET = 'models';
const CREDENTIALS = { ORCA_ORIGIN_ACCESS_KEY_ID: 'any', ORCA_ORIGIN_SECRET_ACCESS_KEY: 'any' };
const SIZE_BYTES = 20_000_000;
/** An emulated Node.js starts in 5 s on an idle machine. */
const START_LIMIT_MS = 120_000;
const POLL_MS = 200;

interface Descriptors {
  readonly manifests?: readonly { readonly digest: string }[];
  readonly layers?: readonly { readonly digest: string }[];
}

const owned = new AsyncDisposableStack();
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orca-arm64-'));
  owned.defer(() => rm(folder, { recursive: true, force: true }));
  const options = ['--platform', 'linux/arm64', '--without-cli', '--allow-dirty'];
  await run('hack/release', [VERSION, '--out', join(folder, 'release'), ...options]);
  await Promise.all(['cache', 'operator'].map(unpack));
  await run('hack/release', ['cli', '--platform', 'linux-arm64', '--out', join(folder, 'cli')]);
  await copyFile(join(folder, 'cli/linux-arm64/kubectl-orca'), join(folder, 'cache/tmp/kubectl-orca'));
});
afterAll(() => owned.disposeAsync());

/** As a container engine does it: the layers of the only manifest, one over the other. */
async function unpack(image: string): Promise<void> {
  const [archive, root] = [join(folder, `${image}.oci`), join(folder, image)];
  for (const path of [archive, root]) await mkdir(path);
  await run('tar', ['-xf', join(folder, 'release', `orcacache-${image}-${VERSION}.tar`), '-C', archive]);
  const blob = ({ digest }: { readonly digest: string }) => join(archive, 'blobs', digest.replace(':', '/'));
  let found = JSON.parse(await readFile(join(archive, 'index.json'), 'utf8')) as Descriptors;
  while (found.layers === undefined)
    found = JSON.parse(await readFile(blob(found.manifests![0]!), 'utf8')) as Descriptors;
  for (const layer of found.layers) await run('tar', ['-xf', blob(layer), '-C', root]);
  const emulator = findTool('qemu-aarch64-static', 'ORCA_EMULATOR');
  if (process.arch === 'arm64') return;
  if (emulator === undefined) throw new Error('no qemu-aarch64-static: run hack/tools emulator');
  await copyFile(emulator, join(root, 'tmp/emulator'));
  await chmod(join(root, 'tmp/emulator'), 0o755);
}

/** A program of an image, as its user, in its file system and on this machine's network. */
function start(image: string, ...program: readonly string[]) {
  const emulator = process.arch === 'arm64' ? [] : ['/tmp/emulator'];
  const command = [...emulator, ...program];
  const child = spawn('chroot', [`--userspec=${USER}`, join(folder, image), ...command], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...CREDENTIALS },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  owned.defer(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += String(data)));
  return { child, exited, output: () => output };
}

test('the cache serves an object, with the native CRC-32, and stops gracefully', async () => {
  await using origin = await startSyntheticOrigin();
  const [edge, peer, ops] = [await freePort(), await freePort(), await freePort()];
  const config = {
    origin: {
      id: 'far',
      type: 'S3',
      s3: { endpoint: origin.endpoint, region: 'us-east-1', forcePathStyle: true },
      buckets: [{ name: BUCKET }],
    },
    cacheStore: { type: 'Filesystem', filesystem: { path: '/tmp/store' } },
    listen: { edge: `127.0.0.1:${edge}`, peer: `127.0.0.1:${peer}`, ops: `127.0.0.1:${ops}` },
    peers: { type: 'Static', self: `127.0.0.1:${peer}`, static: { peers: [`127.0.0.1:${peer}`] } },
    shutdown: { propagationDelay: '0s', drainTimeout: '5s' },
  };
  await writeFile(join(folder, 'cache/tmp/config.yaml'), stringify(config));
  await mkdir(join(folder, 'cache/tmp/store'));
  await chmod(join(folder, 'cache/tmp/store'), 0o777);
  const { child, exited, output } = start('cache', NODE, '/app/cache/main.ts', '--config', '/tmp/config.yaml');
  const endMs = performance.now() + START_LIMIT_MS;
  while ((await http(`http://127.0.0.1:${ops}`, '/readyz')).status !== 200) {
    if (child.exitCode !== null || performance.now() > endMs) throw new Error(`the cache does not start: ${output()}`);
    await delay(POLL_MS);
  }
  const key = `${SIZE_BYTES}-model`;
  const expected = sha256(Buffer.concat([...syntheticBytes(key, 0, SIZE_BYTES)]));
  for (let read = 0; read < 2; read++)
    expect(sha256((await http(`http://127.0.0.1:${edge}`, `/${BUCKET}/${key}`)).body)).toBe(expected);
  const metrics = `http://127.0.0.1:${ops}`;
  expect(await readMetric(metrics, 'orca_origin_bytes_total')).toBe(SIZE_BYTES);
  expect(await readMetric(metrics, 'orca_crc32_accelerated')).toBe(1);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(output()).toContain('"stopped"');
});

test('the operator starts', async () => {
  const { exited, output } = start('operator', NODE, '/app/operator/main.ts');
  expect(await exited).toBe(1);
  expect(output()).toContain('CACHE_IMAGE must be set');
});

test('the executable of the command line starts, and reports an API server that does not answer', async () => {
  const version = start('cache', '/tmp/kubectl-orca', '--version');
  expect(await version.exited).toBe(0);
  expect(version.output()).toBe(`${packageJson.version}\n`);
  const cluster = { server: `http://127.0.0.1:${await freePort()}` };
  await writeFile(join(folder, 'cache/tmp/kubeconfig'), kubeconfigOf({ cluster }));
  const status = start('cache', '/tmp/kubectl-orca', 'status', '--kubeconfig', '/tmp/kubeconfig');
  expect(await status.exited).toBe(1);
  expect(status.output()).toContain('ECONNREFUSED');
});
