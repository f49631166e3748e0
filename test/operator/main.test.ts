/** The operator as a process. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openFakeApiServer } from '#test/support/fake-api-server.ts';
import { kubeconfigFor, startOperator as start } from '#test/support/operator-process.ts';
import { cacheFrom, MINIMAL } from './caches.ts';

/** Node.js and client-node have to load, perhaps on a busy machine. */
const START_MS = 30_000;

describe('the operator', { timeout: 2 * START_MS }, () => {
  test('rejects invalid settings with one line each and exit code 1', async () => {
    const running = start({ LOG_LEVEL: 'loud' });
    expect(await running.exit).toBe(1);
    expect(running.output()).toBe(
      'orca-operator: CACHE_IMAGE must be set to the image of the cache pods\n' +
        'orca-operator: LOG_LEVEL must be one of debug, info, warn, error, not "loud"\n',
    );
  });

  test('rejects a missing kubeconfig in the same way', async () => {
    const running = start({ CACHE_IMAGE: 'x' }, '--kubeconfig', '/nowhere/config');
    expect(await running.exit).toBe(1);
    expect(running.output()).toMatch(/^orca-operator: .*\/nowhere\/config.*\n$/);
  });

  test('reconciles outside a cluster with a kubeconfig, and exits 0 on SIGTERM', async () => {
    const api = await openFakeApiServer();
    onTestFinished(() => api.close());
    const kubeconfig = await kubeconfigFor(api);
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
