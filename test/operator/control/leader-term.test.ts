/**
 * A whole term (watches, queue, workers, reconciles) against a failing API server: changes made meanwhile are applied.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openLeaderTerms, type LeaderTerms } from '#operator/control/leader-term.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { CACHE_COLLECTIONS } from '#operator/reconcile/collections.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { silentLog } from '#shared/log.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const CACHE = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches/models';
const DEPLOYMENT = '/apis/apps/v1/namespaces/ml/deployments/models';
/**
 * The fake clock advances in small steps with turns of the event loop between them, so that loopback requests complete
 * within their deadlines of seconds. While no requests arrive, the steps become longer.
 */
const STEP_MS = 25;
const MAX_STEP_MS = 400;
const TURNS_PER_STEP = 5;
const PATIENCE_STEPS = 20_000;

interface World {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  readonly terms: LeaderTerms;
  readonly replicas: () => number | undefined;
  readonly change: (replicas: number) => void;
  readonly until: (condition: () => boolean) => Promise<void>;
  readonly pass: (ms: number) => Promise<void>;
}

async function openWorld(): Promise<World> {
  const clock = fakeClock();
  const api = await openFakeApiServer();
  const { spec } = cacheFrom(MINIMAL);
  const change = (replicas: number): void => void api.put(CACHE, { spec: { ...spec, replicas } });
  change(3);
  const terms = openLeaderTerms({
    client: api.client(clock),
    clock,
    log: silentLog,
    namespaces: [],
    controllers: [
      {
        subject: 'cache',
        collections: CACHE_COLLECTIONS,
        observer: openMetrics('0', 'api').controller('orcacache'),
        openWork: (addKey) => {
          const podReports = openPodReports({
            clock,
            probePod: async () => undefined,
            digest: () => '',
            pollIntervalMs: () => 60_000,
            onChange: addKey,
          });
          return {
            reconcile: openReconciler({
              clock,
              image: 'orcacache/cache:0',
              imagePullPolicy: 'IfNotPresent',
              version: '0',
              instance: 'test',
              podReports,
              onConditions: () => {},
              newPeerKeyBase64: () => Buffer.alloc(32, 'k').toString('base64'),
            }),
            run: (signal) => podReports.run(signal),
          };
        },
      },
    ],
  });
  const stop = new AbortController();
  const ended = terms.lead({ signal: stop.signal, assertHeld: () => {} });
  onTestFinished(async () => {
    stop.abort(new Error('the test is over'));
    await ended;
    await api.close();
  });
  async function until(condition: () => boolean, endMs = Infinity): Promise<void> {
    let stepMs = STEP_MS;
    for (let step = 0; !condition(); step++) {
      if (step > PATIENCE_STEPS) throw new Error('the condition was not met in time');
      const { length } = api.requests;
      await clock.advance(Math.min(stepMs, endMs - clock.now()));
      for (let turn = 0; turn < TURNS_PER_STEP; turn++) await nextTurn();
      stepMs = api.requests.length === length ? Math.min(stepMs * 2, MAX_STEP_MS) : STEP_MS;
    }
  }
  const replicas = () => (api.get(DEPLOYMENT) as { spec?: { replicas?: number } } | undefined)?.spec?.replicas;
  await until(() => replicas() === 3 && api.watches.count() === 9);
  return {
    api,
    clock,
    terms,
    replicas,
    change,
    until: (condition) => until(condition),
    async pass(ms) {
      const endMs = clock.now() + ms;
      await until(() => clock.now() >= endMs, endMs);
    },
  };
}

describe('a change is applied', () => {
  test.for<readonly [string, (api: FakeApiServer) => () => void]>([
    [
      'after lists and watches failed with 500',
      (api) => {
        const heal = api.fail({ method: 'GET', answer: { status: 500, reason: 'InternalError' } });
        api.watches.reset();
        return heal;
      },
    ],
    [
      'after 429 with Retry-After',
      (api) => {
        const heal = api.fail({ answer: { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 2 } });
        api.watches.end();
        return heal;
      },
    ],
    [
      'after 410 in an ERROR event',
      (api) => {
        api.compact();
        api.watches.expire();
        return () => {};
      },
    ],
    [
      'after 410 as the response to a watch',
      (api) => {
        const heal = api.fail({ watch: true, times: 9, answer: { status: 410, reason: 'Expired' } });
        api.watches.end();
        return heal;
      },
    ],
    [
      'after all connections were reset',
      (api) => {
        const heal = api.fail({ answer: 'reset' });
        api.watches.reset();
        return heal;
      },
    ],
    [
      'after lists that timed out',
      (api) => {
        const heal = api.fail({ method: 'GET', watch: false, times: 12, answer: 'hang' });
        api.watches.end();
        return heal;
      },
    ],
    [
      'after write conflicts',
      (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 409, reason: 'Conflict' } }),
    ],
    ['after writes that timed out', (api) => api.fail({ method: 'PATCH', times: 2, answer: 'hang' })],
    ['after writes that failed', (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 500 } })],
    ['after writes that were throttled', (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 429 } })],
  ])('%s, with no further writes', async ([, breakIt]) => {
    const { api, replicas, change, until, pass } = await openWorld();
    const heal = breakIt(api);
    change(5);
    await pass(3000);
    heal();
    await until(() => replicas() === 5 && api.watches.count() === 9);
    await pass(3000);
    const before = api.writes().length;
    await pass(20_000);
    expect(api.writes()).toHaveLength(before);
    expect(api.watches.count()).toBe(9);
  });

  test('after silent watches, once they time out', async () => {
    const { api, until, pass } = await openWorld();
    api.watches.silence(true);
    // A new cache is not in the queue yet, so only the watch can add it.
    api.put(CACHE.replace('models', 'other'), { spec: cacheFrom(MINIMAL).spec });
    await pass(1000);
    // Later events are sent again; the missed ones are not.
    api.watches.silence(false);
    await until(() => api.get(DEPLOYMENT.replace('models', 'other')) !== undefined);
  });
});

describe('after two minutes without an API server', () => {
  test('only the necessary writes are made', async () => {
    const { api, replicas, change, until, pass } = await openWorld();
    await pass(10_000);
    const heal = api.fail({ answer: 'reset' });
    api.watches.reset();
    change(5);
    const asked = api.requests.length;
    await pass(120_000);
    // Ten loops with growing backoff.
    expect(api.requests.length - asked).toBeLessThan(300);
    heal();
    const before = api.writes().length;
    await until(() => replicas() === 5);
    await pass(30_000);
    const written = api
      .writes()
      .slice(before)
      .map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);
    expect(written).toEqual(['PATCH deployments/models', 'PATCH models/status']);
  });
});

test('a term is synced when all its lists are complete', async () => {
  const { terms } = await openWorld();
  expect(terms.synced()).toBe(true);
});
