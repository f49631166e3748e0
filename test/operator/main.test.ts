/** The program itself, as a pod or a person starts it. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { openFakeApiServer } from '#test/support/fake-api-server.ts';
import { cacheFrom, MINIMAL } from './caches.ts';

/** Node and client-node have to load, on a machine that is busy. */
const START_MS = 30_000;

interface Running {
  readonly output: () => string;
  readonly stop: (signal: NodeJS.Signals) => void;
  readonly exit: Promise<number | null>;
}

function start(env: Record<string, string>, ...args: readonly string[]): Running {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['operator/main.ts', ...args], {
    env: { PATH, HOME, PROBE_PORT: '0', METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += String(part)));
  const exit = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return { output: () => output, stop: (signal) => void child.kill(signal), exit };
}

describe('the operator', { timeout: 2 * START_MS }, () => {
  test('refuses bad settings in plain lines and with exit 1', async () => {
    const running = start({ LOG_LEVEL: 'loud' });
    expect(await running.exit).toBe(1);
    expect(running.output()).toBe(
      'orca-operator: CACHE_IMAGE is not set: it names the image of the cache pods\n' +
        'orca-operator: LOG_LEVEL must be one of debug, info, warn, error, not "loud"\n',
    );
  });

  test('refuses a kubeconfig that is not there in the same way', async () => {
    const running = start({ CACHE_IMAGE: 'x' }, '--kubeconfig', '/nowhere/config');
    expect(await running.exit).toBe(1);
    expect(running.output()).toMatch(/^orca-operator: .*\/nowhere\/config.*\n$/);
  });

  test('reconciles outside a cluster with a kubeconfig, and exits 0 on SIGTERM', async () => {
    const api = await openFakeApiServer();
    onTestFinished(() => api.close());
    const directory = await mkdtemp(join(tmpdir(), 'orca-operator-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const kubeconfig = join(directory, 'config');
    await writeFile(
      kubeconfig,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'test',
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
        clusters: [{ name: 'test', cluster: { server: api.server.url.href, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'test', user: {} }],
      }),
    );
    const { spec } = cacheFrom(MINIMAL);
    api.put('/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches/models', { spec });
    const running = start({ CACHE_IMAGE: 'orcacache/cache:1' }, '--kubeconfig', kubeconfig);
    await vi.waitFor(() => expect(api.get('/apis/apps/v1/namespaces/ml/deployments/models')).toBeDefined(), {
      timeout: START_MS,
    });
    running.stop('SIGTERM');
    expect(await running.exit).toBe(0);
    expect(running.output()).toContain('"message":"started"');
  });
});
