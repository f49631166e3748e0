/** Two operator processes: one leads, and the other takes over. The fake API server distinguishes their requests. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { kubeconfigFor, startOperator, type OperatorProcess } from '#test/support/operator-process.ts';
import { until } from '#test/support/until.ts';

const CACHE = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches/models';
const DEPLOYMENT = '/apis/apps/v1/namespaces/ml/deployments/models';
const LEASE = /\/leases\b/;
/** A lease of 15 s, which is read every 2 s, and a margin for a busy machine. */
const TAKEOVER_MS = 40_000;
const START_MS = 30_000;

interface Pair {
  readonly api: FakeApiServer;
  readonly first: OperatorProcess;
  readonly second: OperatorProcess;
  /** What each wrote of caches and children. */
  readonly writes: (of: 'first' | 'second') => number;
  readonly change: (replicas: number) => void;
  /** The change was applied. */
  readonly applied: (replicas: number) => Promise<void>;
}

async function pair(): Promise<Pair> {
  const api = await openFakeApiServer();
  onTestFinished(() => api.close());
  const { spec } = cacheFrom(MINIMAL);
  api.put(CACHE, { spec });
  const start = async (token: string): Promise<OperatorProcess> =>
    startOperator(
      { CACHE_IMAGE: 'orcacache/cache:1', LEASE_NAMESPACE: 'orca-system', POD_NAME: token },
      '--kubeconfig',
      await kubeconfigFor(api, token),
    );
  const leads = (operator: OperatorProcess): boolean => operator.output().includes('"message":"became leader"');
  const first = await start('first');
  await until(() => leads(first), 'the first leads', START_MS);
  const second = await start('second');
  await until(
    () => api.requests.some(({ path, authorization }) => LEASE.test(path) && authorization === 'Bearer second'),
    'the second stands by',
    START_MS,
  );
  return {
    api,
    first,
    second,
    writes: (of) =>
      api.writes().filter(({ path, authorization }) => authorization === `Bearer ${of}` && !LEASE.test(path)).length,
    change: (replicas) => void api.put(CACHE, { spec: { ...spec, replicas } }),
    applied: (replicas) =>
      until(
        () => (api.get(DEPLOYMENT) as { spec?: { replicas?: number } } | undefined)?.spec?.replicas === replicas,
        `${replicas} replicas`,
        TAKEOVER_MS,
      ),
  };
}

describe('two operators', () => {
  test('one leads; when it is stopped the other takes over at once', async () => {
    const { first, second, writes, change, applied } = await pair();
    await applied(3);
    expect(writes('first')).toBeGreaterThan(0);
    expect(writes('second')).toBe(0);
    const stoppedAtMs = performance.now();
    first.stop('SIGTERM');
    expect(await first.exit).toBe(0);
    change(4);
    await applied(4);
    console.log(`a clean stop to the other's work: ${((performance.now() - stoppedAtMs) / 1000).toFixed(1)} s`);
    expect(writes('second')).toBeGreaterThan(0);
    expect(second.output()).toContain('"message":"became leader"');
  });

  test('the other takes over when the first dies', async () => {
    const { first, writes, change, applied } = await pair();
    await applied(3);
    first.stop('SIGKILL');
    await first.exit;
    change(4);
    await applied(4);
    expect(writes('second')).toBeGreaterThan(0);
  });

  test('the first writes nothing when it wakes from a pause in which the other has taken over', async () => {
    const { api, first, writes, change, applied } = await pair();
    await applied(3);
    first.stop('SIGSTOP');
    // Read by the sleeper as soon as it wakes.
    change(4);
    await applied(4);
    const before = writes('first');
    change(5);
    await applied(5);
    first.stop('SIGCONT');
    await until(() => first.output().includes('"message":"lost leadership"'), 'the first has noticed', TAKEOVER_MS);
    const asked = api.requests.length;
    await until(() => api.requests.length > asked + 4, 'the first stands by, and both go on', TAKEOVER_MS);
    expect(writes('first')).toBe(before);
  });
});
