/** A whole term (watches, queue, workers, reconciles) against an API server that misbehaves: what is changed meanwhile is brought about. */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openTerms, type Terms } from '#operator/control/term.ts';
import { openMetrics } from '#operator/http/metrics.ts';
import { openReconciler } from '#operator/reconcile/reconcile.ts';
import { openPodReports } from '#operator/reconcile/pod-reports.ts';
import { silentLog } from '#shared/log.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { cacheFrom, MINIMAL } from '#test/operator/caches.ts';

const CACHE = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches/models';
const DEPLOYMENT = '/apis/apps/v1/namespaces/ml/deployments/models';
/** Time of the fake clock in each of the real time's: deadlines of seconds pass while loopback answers in milliseconds. */
const STEP_MS = 25;
const REAL_STEP_MS = 1;
const PATIENCE_STEPS = 20_000;

interface World {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  readonly terms: Terms;
  readonly replicas: () => number | undefined;
  readonly change: (replicas: number) => void;
  readonly until: (condition: () => boolean, stepMs?: number) => Promise<void>;
  readonly pass: (ms: number, stepMs?: number) => Promise<void>;
}

async function openWorld(): Promise<World> {
  const clock = fakeClock();
  const api = await openFakeApiServer();
  const { spec } = cacheFrom(MINIMAL);
  const change = (replicas: number): void => void api.put(CACHE, { spec: { ...spec, replicas } });
  change(3);
  const terms = openTerms({
    client: api.client(clock),
    clock,
    log: silentLog,
    namespaces: [],
    metrics: openMetrics('0', 'api'),
    openWork: (addKey) => {
      const reports = openPodReports({
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
          reports,
          state: () => {},
          newPeerKeyBase64: () => Buffer.alloc(32, 'k').toString('base64'),
        }),
        run: (signal) => reports.run(signal),
      };
    },
  });
  const stop = new AbortController();
  const ended = terms.lead({ signal: stop.signal, assertHeld: () => {} });
  onTestFinished(async () => {
    stop.abort(new Error('the test is over'));
    await ended;
    await api.close();
  });
  async function until(condition: () => boolean, stepMs = STEP_MS): Promise<void> {
    for (let step = 0; !condition(); step++) {
      if (step > PATIENCE_STEPS) throw new Error('it did not come to pass');
      await clock.advance(stepMs);
      await delay(REAL_STEP_MS);
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
    until,
    async pass(ms, stepMs) {
      const endMs = clock.now() + ms;
      await until(() => clock.now() >= endMs, stepMs);
    },
  };
}

describe('a change is brought about', () => {
  test.for<readonly [string, (api: FakeApiServer) => () => void]>([
    [
      'after lists and watches were refused with 500',
      (api) => {
        const heal = api.fail({ method: 'GET', answer: { status: 500, reason: 'InternalError' } });
        api.watches.reset();
        return heal;
      },
    ],
    [
      'after 429 with a time to wait for',
      (api) => {
        const heal = api.fail({ answer: { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 2 } });
        api.watches.end();
        return heal;
      },
    ],
    [
      'after 410 as an event',
      (api) => {
        api.compact();
        api.watches.expire();
        return () => {};
      },
    ],
    [
      'after 410 as an answer',
      (api) => {
        const heal = api.fail({ watch: true, times: 9, answer: { status: 410, reason: 'Expired' } });
        api.watches.end();
        return heal;
      },
    ],
    [
      'after all connections broke',
      (api) => {
        const heal = api.fail({ answer: 'reset' });
        api.watches.reset();
        return heal;
      },
    ],
    [
      'after lists that took longer than anybody waits',
      (api) => {
        const heal = api.fail({ method: 'GET', watch: false, times: 12, answer: 'hang' });
        api.watches.end();
        return heal;
      },
    ],
    ['after conflicts', (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 409, reason: 'Conflict' } })],
    ['after writes that were answered by nobody', (api) => api.fail({ method: 'PATCH', times: 2, answer: 'hang' })],
    ['after writes that failed', (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 500 } })],
    ['after writes that were throttled', (api) => api.fail({ method: 'PATCH', times: 3, answer: { status: 429 } })],
  ])('%s, once and no more', async ([, breakIt]) => {
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

  test('after its watches went silent, when they are taken for dead', async () => {
    const { api, until, pass } = await openWorld();
    api.watches.silence(true);
    // Of a cache that is not in the queue yet: nothing but the watch can bring it.
    api.put(CACHE.replace('models', 'other'), { spec: cacheFrom(MINIMAL).spec });
    await pass(1000);
    // From now on it says what happens, and not what has happened.
    api.watches.silence(false);
    await until(() => api.get(DEPLOYMENT.replace('models', 'other')) !== undefined);
  });
});

describe('two minutes without an API server', () => {
  test('are followed by no more writes than the change needs', async () => {
    const { api, replicas, change, until, pass } = await openWorld();
    await pass(10_000);
    const heal = api.fail({ answer: 'reset' });
    api.watches.reset();
    change(5);
    const asked = api.requests.length;
    // Nobody answers, so nothing has to be in time.
    await pass(120_000, 4 * STEP_MS);
    // Ten loops that wait longer and longer, not a hammer.
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

test('a term is synced when all its lists are read', async () => {
  const { terms } = await openWorld();
  expect(terms.synced()).toBe(true);
});
