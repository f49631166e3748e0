import { describe, expect, onTestFinished, test } from 'vitest';
import { runController, type ReconcileResult } from '#operator/control/controller.ts';
import { openSources } from '#operator/control/sources.ts';
import { WorkQueue } from '#operator/control/work-queue.ts';
import { PREWARM_COLLECTIONS } from '#operator/prewarm/collections.ts';
import { CACHE_COLLECTIONS } from '#operator/reconcile/collections.ts';
import type { Reconcile } from '#operator/reconcile/reconcile.ts';
import { systemClock } from '#shared/clock.ts';
import { KubeError } from '#shared/kube/error.ts';
import { openLog, silentLog, type Log } from '#shared/log.ts';
import { openFakeApiServer, type FakeApiServer } from '#test/support/fake-api-server.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { until } from '#test/support/until.ts';

const CACHES = '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches';
const SERVICES = '/api/v1/namespaces/ml/services';

function child(owner: string, kind = 'OrcaCache'): object {
  return {
    metadata: {
      labels: { 'app.kubernetes.io/managed-by': 'orca-operator' },
      ownerReferences: [{ apiVersion: 'orcacache.dev/v1alpha1', kind, name: owner, uid: 'u', controller: true }],
    },
  };
}

test('a collection that the API server does not have is complete, and is followed once it is installed', async () => {
  const api = await openFakeApiServer();
  const heal = api.fail({ path: /orcaprewarms/, answer: { status: 404, reason: 'NotFound' } });
  const clock = fakeClock();
  const stop = new AbortController();
  const queue = new WorkQueue({ clock });
  const sources = openSources({
    client: api.client(),
    clock,
    log: silentLog,
    queue,
    collections: PREWARM_COLLECTIONS,
    namespaces: [],
    signal: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await sources.ended;
    await api.close();
  });
  await until(() => sources.synced(), 'the absent collection counts as listed');
  api.put('/apis/orcacache.dev/v1alpha1/namespaces/ml/orcaprewarms/a', { spec: {} });
  heal();
  for (let step = 0; queue.depth === 0 && step < 100; step++) await clock.advance(1000);
  expect(queue.depth).toBe(1);
});

interface SourcesWorld {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  /** Takes all queued keys. */
  readonly drain: () => Promise<string[]>;
  readonly queue: WorkQueue;
}

async function openWorld(
  prepare: (api: FakeApiServer) => void = () => {},
  namespaces: readonly string[] = [],
): Promise<SourcesWorld> {
  const api = await openFakeApiServer();
  prepare(api);
  const clock = fakeClock();
  const stop = new AbortController();
  const queue = new WorkQueue({ clock });
  const sources = openSources({
    client: api.client(),
    clock,
    log: silentLog,
    queue,
    collections: CACHE_COLLECTIONS,
    namespaces,
    signal: stop.signal,
    random: () => 0.5,
  });
  onTestFinished(async () => {
    stop.abort();
    await sources.ended;
    await api.close();
  });
  const drain = async (): Promise<string[]> => {
    const keys: string[] = [];
    while (queue.depth > 0) {
      const taken = queue.next(stop.signal);
      // Rechecks are rate-limited.
      await clock.advance(40);
      const key = (await taken) ?? '';
      queue.done(key);
      keys.push(key);
    }
    return keys;
  };
  await until(() => sources.synced(), 'all lists are complete');
  return { api, clock, drain, queue };
}

describe('the event sources', () => {
  test('add existing caches, and caches that are created, changed or deleted', async () => {
    const { api, drain, queue } = await openWorld((server) => server.put(`${CACHES}/a`, { spec: {} }));
    expect(await drain()).toEqual(['ml/a']);
    api.put(`${CACHES}/b`, { spec: {} });
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/b']);
    api.put(`${CACHES}/a`, { spec: { replicas: 1 } });
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/a']);
    api.delete(`${CACHES}/b`);
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/b']);
  });

  test('ignore status changes of a cache, but not annotation changes', async () => {
    const { api, drain, queue } = await openWorld((server) => server.put(`${CACHES}/a`, { spec: {} }));
    await drain();
    api.put(`${CACHES}/a`, { spec: {}, status: { replicas: 1 } });
    api.put(`${CACHES}/b`, { spec: {} });
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/b']);
    api.put(`${CACHES}/a`, { metadata: { annotations: { look: 'again' } } });
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/a']);
  });

  test('add the cache of a changed or deleted child', async () => {
    const { api, drain, queue } = await openWorld();
    api.put(`${SERVICES}/s`, child('models'));
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/models']);
    api.delete(`${SERVICES}/s`);
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/models']);
  });

  test('add both caches when a child changes its owner', async () => {
    const { api, drain, queue } = await openWorld((server) => server.put(`${SERVICES}/s`, child('models')));
    await drain();
    api.put(`${SERVICES}/s`, child('others'));
    await until(() => queue.depth > 1, 'both keys were added');
    expect(await drain()).toEqual(['ml/models', 'ml/others']);
  });

  test('add the cache of a child that was deleted while no watch was open', async () => {
    const { api, clock, drain, queue } = await openWorld((server) => server.put(`${SERVICES}/s`, child('models')));
    await drain();
    api.watches.silence(true);
    api.delete(`${SERVICES}/s`);
    api.compact();
    api.watches.silence(false);
    api.watches.expire();
    for (let step = 0; queue.depth === 0 && step < 100; step++) await clock.advance(100);
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/models']);
  });

  test('ignore objects without the label or the owner', async () => {
    const { api, drain, queue } = await openWorld();
    api.put(`${SERVICES}/unlabelled`, {
      metadata: {
        ownerReferences: (child('x') as never as { metadata: { ownerReferences: [] } }).metadata.ownerReferences,
      },
    });
    api.put(`${SERVICES}/of-another-kind`, child('x', 'Model'));
    api.put(`${SERVICES}/last`, child('models'));
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/models']);
  });

  test('watch only the configured namespaces', async () => {
    const { api, drain, queue } = await openWorld(() => {}, ['ml']);
    api.put('/apis/orcacache.dev/v1alpha1/namespaces/other/orcacaches/a', { spec: {} });
    api.put(`${CACHES}/b`, { spec: {} });
    await until(() => queue.depth > 0, 'a key was added');
    expect(await drain()).toEqual(['ml/b']);
    expect(api.requests.every(({ path }) => path.includes('/namespaces/ml/'))).toBe(true);
  });

  test('add all caches again at the next list, spread over a minute, but only changed children', async () => {
    const { api, clock, drain, queue } = await openWorld((server) => {
      server.put(`${CACHES}/a`, { spec: {} });
      server.put(`${SERVICES}/s`, child('b'));
    });
    await drain();
    api.compact();
    api.watches.expire();
    const lists = (): number =>
      api.requests.filter(({ path, query }) => path.endsWith('/orcacaches') && query['watch'] === undefined).length;
    // Expired watches restart after a backoff, which needs the fake clock to advance.
    for (let step = 0; lists() < 2 && step < 100; step++) await clock.advance(100);
    await until(() => lists() >= 2, 'the caches are listed again');
    expect(queue.depth).toBe(0);
    await clock.advance(60_000);
    expect(await drain()).toEqual(['ml/a']);
  });
});

interface Running {
  readonly queue: WorkQueue;
  readonly clock: FakeClock;
  readonly results: ReconcileResult[];
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

async function runWith(reconcile: Reconcile, log: Log = silentLog): Promise<Running> {
  const api = await openFakeApiServer();
  const clock = fakeClock();
  const queue = new WorkQueue({ clock, random: () => 1 });
  const stop = new AbortController();
  const results: ReconcileResult[] = [];
  const ended = runController({
    client: api.client(systemClock),
    clock,
    log,
    subject: 'cache',
    queue,
    reconcile,
    signal: stop.signal,
    observe: (result) => results.push(result),
  });
  onTestFinished(async () => {
    stop.abort();
    await ended;
    await api.close();
  });
  return { queue, clock, results, stop, ended };
}

describe('the workers', () => {
  test('retry failures with growing backoff, and reset it after a success', async () => {
    const fails = [true, true, false, true, false];
    const { queue, clock, results } = await runWith(async () => {
      if (fails.shift() === true) throw new KubeError(500, 'InternalError', 'boom');
      return { kind: 'done' };
    });
    queue.add('ml/a');
    await clock.advance(4);
    expect(results).toEqual(['error']);
    await clock.advance(1);
    expect(results).toEqual(['error', 'error']);
    await clock.advance(10);
    expect(results).toEqual(['error', 'error', 'success']);
    await clock.advance(600_000);
    expect(results).toHaveLength(3);
    queue.add('ml/a');
    await clock.advance(5);
    expect(results.slice(3)).toEqual(['error', 'success']);
  });

  test('retry a write conflict, which is not logged as an error', async () => {
    const lines: { readonly level: string; readonly message: string }[] = [];
    const log = openLog({
      name: 'test',
      level: 'debug',
      write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]),
    });
    const failures = [new KubeError(409, 'Conflict', 'changed'), new KubeError(500, 'InternalError', 'boom')];
    const { queue, clock, results } = await runWith(async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return { kind: 'done' };
    }, log);
    queue.add('ml/a');
    await clock.advance(60_000);
    expect(results).toEqual(['error', 'error', 'success']);
    expect(lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'debug: write conflict; retrying',
      'error: reconcile failed',
    ]);
  });

  test('requeue when the outcome requests it, but not after a stall', async () => {
    const outcomes = [
      { kind: 'requeue', afterMs: 5000, reason: 'x' },
      { kind: 'stalled', reason: 'x', message: '' },
    ] as const;
    let runs = 0;
    const { queue, clock, results } = await runWith(async () => outcomes[runs++] ?? { kind: 'done' });
    queue.add('ml/a');
    await clock.advance(4999);
    expect(results).toEqual(['requeue_after']);
    await clock.advance(1);
    expect(results).toEqual(['requeue_after', 'stalled']);
    await clock.advance(600_000);
    expect(runs).toBe(2);
  });

  test('process several caches concurrently, but never one twice', async () => {
    const active: string[] = [];
    let maxActive = 0;
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { queue, clock } = await runWith(async (_api, key) => {
      expect(active).not.toContain(key);
      active.push(key);
      maxActive = Math.max(maxActive, active.length);
      await gate;
      active.splice(active.indexOf(key), 1);
      return { kind: 'done' };
    });
    for (const key of ['a', 'b', 'a', 'c', 'd', 'e']) queue.add(key);
    await clock.advance(0);
    queue.add('a');
    open();
    await clock.advance(0);
    expect(maxActive).toBe(4);
    expect(queue.depth).toBe(0);
  });

  test('abort a reconcile that takes too long, and retry it', async () => {
    let runs = 0;
    const { queue, clock, results } = await runWith(async (api) => {
      runs += 1;
      if (runs > 1) return { kind: 'done' };
      return new Promise((_resolve, reject) => {
        api.signal.addEventListener('abort', () => reject(api.signal.reason as Error));
      });
    });
    queue.add('ml/a');
    await clock.advance(120_000);
    await clock.advance(5);
    expect(results).toEqual(['error', 'success']);
  });

  test('end with the signal, and abort the running reconciles', async () => {
    let signal: AbortSignal | undefined;
    const { queue, clock, stop, ended, results } = await runWith((api) => {
      signal = api.signal;
      return new Promise((_resolve, reject) => {
        api.signal.addEventListener('abort', () => reject(api.signal.reason as Error));
      });
    });
    queue.add('ml/a');
    await clock.advance(0);
    stop.abort(new Error('over'));
    await ended;
    expect(signal?.aborted).toBe(true);
    expect(results).toEqual([]);
  });
});
