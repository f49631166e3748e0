import { Counter, Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { MetricMemory, metricsJson } from '#cache/workers/merge-metrics.ts';
import { WORKER_METRICS_PATH, type OpsAnswer, type OpsRequest } from '#cache/workers/messages.ts';
import { supervisorApp } from '#cache/workers/ops-app.ts';
import type { WorkerSlot, WorkerState } from '#cache/workers/worker-slot.ts';

interface FakeSlot {
  state: WorkerState;
  stuck?: boolean;
  /** By path without the query; a missing one is not answered. */
  answers: Record<string, { status?: number; body: unknown }>;
  asked: OpsRequest[];
}

const status = (changes: object = {}) => ({
  version: '1',
  ready: true,
  checks: { peers: { ok: true, message: 'listed' } },
  runtime: { problems: [] },
  identity: { state: 'ours', message: '' },
  origin: {},
  originBreakers: {},
  store: { breaker: 'closed', full: false, condition: 'atomic', message: '', problems: [], hung: 0 },
  capacity: { state: 'ok', usedBytes: 10 },
  peers: { self: '10.0.0.1:8444', staleMs: 5 },
  memory: { budgetBytes: 100, windowBytes: 1 },
  ...changes,
});

function open(count: number, options: { isStopping?: boolean } = {}) {
  const fakes: FakeSlot[] = Array.from({ length: count }, () => ({
    state: 'running',
    answers: { '/readyz': { body: '[+] peers: listed\n' }, '/status': { body: status() } },
    asked: [],
  }));
  const slots = fakes.map((fake, index): WorkerSlot => ({
    index,
    state: () => fake.state,
    pid: () => 100 + index,
    restarts: () => index,
    isStuck: () => fake.stuck === true,
    kill: () => {},
    run: async () => {},
    async ask(request): Promise<OpsAnswer> {
      fake.asked.push(request);
      const answer = fake.answers[request.path.split('?')[0]!];
      if (answer === undefined) throw new Error('no answer');
      const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
      return { status: answer.status ?? 200, headers: { 'x-worker': String(index) }, body };
    },
  }));
  const registry = new Registry();
  const memory = new MetricMemory();
  const app = supervisorApp({ slots, registry, memory, isStopping: () => options.isStopping === true });
  return { fakes, app, registry, memory };
}

type Json = Record<string, unknown>;

describe('/readyz', () => {
  const statusOf = async (change: (fakes: FakeSlot[]) => void, options = {}): Promise<number> => {
    const { app, fakes } = open(2, options);
    change(fakes);
    return (await app.request('/readyz')).status;
  };

  test('is 200 if all workers are ready', async () => expect(await statusOf(() => {})).toBe(200));

  test('is 200 while one of them is started again', async () => {
    expect(await statusOf(([, b]) => (b!.state = 'restarting'))).toBe(200);
  });

  test.for<[string, (fakes: FakeSlot[]) => void]>([
    ['all are started again', (fakes) => fakes.forEach((fake) => (fake.state = 'restarting'))],
    ['one has never been ready', ([a]) => (a!.state = 'starting')],
    ['one is not ready', ([a]) => (a!.answers['/readyz'] = { status: 503, body: '' })],
    ['one does not respond', ([, b]) => delete b!.answers['/readyz']],
  ])('is 503 if %s', async ([, change]) => expect(await statusOf(change)).toBe(503));

  test('is 503 once the pod stops', async () => {
    expect(await statusOf(() => {}, { isStopping: true })).toBe(503);
  });

  test('lists the checks of each worker', async () => {
    const { app, fakes } = open(3);
    fakes[1]!.state = 'restarting';
    delete fakes[2]!.answers['/readyz'];
    expect(await (await app.request('/readyz?verbose')).text()).toBe(
      '[+] worker 0 peers: listed\n[-] worker 1: restarting\n[-] worker 2 worker: does not respond\n',
    );
  });
});

test('/livez is 503 only for a worker that cannot even be killed', async () => {
  const { app, fakes } = open(2);
  fakes[0]!.state = 'restarting';
  expect((await app.request('/livez')).status).toBe(200);
  fakes[1]!.stuck = true;
  const answer = await app.request('/livez');
  expect([answer.status, await answer.text()]).toEqual([503, 'worker 1 does not respond, nor end\n']);
});

describe('/status', () => {
  test('is that of one replica, with its workers', async () => {
    const { app, fakes } = open(2);
    fakes[1]!.answers['/status'] = {
      body: status({ peers: { self: '10.0.0.1:8445', staleMs: 9 }, memory: { budgetBytes: 100, windowBytes: 2 } }),
    };
    expect(await (await app.request('/status')).json()).toEqual({
      ...status({ peers: { self: '10.0.0.1:8444', staleMs: 9 }, memory: { budgetBytes: 200, windowBytes: 3 } }),
      workers: [
        { index: 0, pid: 100, state: 'running', restarts: 0, ready: true, self: '10.0.0.1:8444' },
        { index: 1, pid: 101, state: 'running', restarts: 1, ready: true, self: '10.0.0.1:8445' },
      ],
    });
  });

  test('a worker that does not answer makes it not ready', async () => {
    const { app, fakes } = open(2);
    delete fakes[0]!.answers['/status'];
    const answer = (await (await app.request('/status')).json()) as Json;
    expect(answer).toMatchObject({ ready: false, workers: [{ ready: false, self: null }, { ready: true }] });
  });

  test('one that is started again does not', async () => {
    const { app, fakes } = open(2);
    fakes[0]!.state = 'restarting';
    expect(await (await app.request('/status')).json()).toMatchObject({
      ready: true,
      workers: [{ state: 'restarting' }, { state: 'running' }],
    });
  });

  test('without any worker is 503', async () => {
    const { app, fakes } = open(1);
    fakes[0]!.state = 'ended';
    expect((await app.request('/status')).status).toBe(503);
  });
});

describe('/metrics', () => {
  async function metricsOf(requests: number, peers: number): Promise<object> {
    const registry = new Registry();
    new Counter({ name: 'orca_requests_total', help: 'h', registers: [registry] }).inc(requests);
    new Gauge({ name: 'orca_peers', help: 'h', registers: [registry] }).set(peers);
    new Gauge({ name: 'orca_memory_window_bytes', help: 'h', registers: [registry] }).set(requests);
    return metricsJson(registry);
  }
  const read = async (app: ReturnType<typeof open>['app'], name: string): Promise<number> => {
    const line = (await (await app.request('/metrics')).text()).split('\n').find((one) => one.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  };

  test('are added up, but what all workers report alike', async () => {
    const { app, fakes, registry } = open(2);
    new Gauge({ name: 'orca_workers', help: 'h', registers: [registry] }).set(2);
    fakes[0]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(3, 4) };
    fakes[1]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(5, 4) };
    expect(await read(app, 'orca_requests_total')).toBe(8);
    expect(await read(app, 'orca_memory_window_bytes')).toBe(8);
    expect(await read(app, 'orca_peers')).toBe(4);
    expect(await read(app, 'orca_workers')).toBe(2);
  });

  test('counters do not fall when a worker is started again; gauges do', async () => {
    const { app, fakes, memory } = open(2);
    fakes[0]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(3, 4) };
    fakes[1]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(5, 4) };
    await read(app, 'orca_requests_total');
    for (const round of [1, 2, 3]) {
      await memory.endOf(1);
      fakes[1]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(1, 4) };
      expect(await read(app, 'orca_requests_total')).toBe(3 + 5 + round);
      expect(await read(app, 'orca_memory_window_bytes')).toBe(4);
    }
  });

  test('a worker that does not answer counts with its last ones', async () => {
    const { app, fakes } = open(2);
    fakes[0]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(3, 4) };
    fakes[1]!.answers[WORKER_METRICS_PATH] = { body: await metricsOf(5, 4) };
    await read(app, 'orca_requests_total');
    delete fakes[1]!.answers[WORKER_METRICS_PATH];
    expect(await read(app, 'orca_requests_total')).toBe(8);
  });
});

describe('other paths', () => {
  test('/prewarms has those of all workers', async () => {
    const { app, fakes } = open(2);
    fakes.forEach((fake, index) => (fake.answers['/prewarms'] = { body: { prewarms: [{ uid: `u${index}` }] } }));
    expect(await (await app.request('/prewarms')).json()).toEqual({ prewarms: [{ uid: 'u0' }, { uid: 'u1' }] });
  });

  test('/objects of a key has chunks in the memory of any worker, and queries the cachestore once', async () => {
    const { app, fakes } = open(2);
    const chunk = { path: 'p0', inMemory: false, filling: false, stored: true };
    fakes[0]!.answers['/objects'] = { body: { key: 'k', chunks: [chunk, { ...chunk, path: 'p1' }] } };
    fakes[1]!.answers['/objects'] = {
      body: {
        key: 'k',
        chunks: [
          { ...chunk, inMemory: true, stored: null },
          { ...chunk, path: 'p1', filling: true },
        ],
      },
    };
    expect(await (await app.request('/objects?bucket=b&key=k')).json()).toEqual({
      key: 'k',
      chunks: [
        { ...chunk, inMemory: true },
        { ...chunk, path: 'p1', filling: true },
      ],
    });
    expect(fakes.map(({ asked }) => asked.map(({ path }) => path))).toEqual([
      ['/objects?bucket=b&key=k'],
      ['/objects?bucket=b&key=k&stored=false'],
    ]);
  });

  test('an error is passed on', async () => {
    const { app, fakes } = open(2);
    for (const fake of fakes) fake.answers['/objects'] = { status: 404, body: { reason: 'not_found' } };
    const answer = await app.request('/objects?bucket=b&key=k');
    expect([answer.status, await answer.json()]).toEqual([404, { reason: 'not_found' }]);
  });

  test('the last read by any worker counts', async () => {
    const { app, fakes } = open(2);
    fakes[0]!.answers['/reads'] = { body: { lastReadMs: [null, 5, 9, null] } };
    fakes[1]!.answers['/reads'] = { body: { lastReadMs: [3, null, 4, null] } };
    expect(await (await app.request('/reads?versions=x')).json()).toEqual({ lastReadMs: [3, 5, 9, null] });
  });

  test('a purge is passed unchanged to the worker whose address /status contains', async () => {
    const { app, fakes } = open(3);
    fakes[0]!.state = 'restarting';
    for (const [index, fake] of fakes.entries()) {
      fake.answers['/purge'] = { status: 204, body: '' };
      fake.answers['/status'] = { body: status({ peers: { self: `10.0.0.1:${8444 + index}`, staleMs: 0 } }) };
    }
    const { peers } = (await (await app.request('/status')).json()) as { peers: { self: string } };
    expect(peers.self).toBe('10.0.0.1:8445');
    const answer = await app.request('/purge?bucket=b&key=a%2Fb', { method: 'POST', headers: { 'x-orca-mac': 'm' } });
    expect([answer.status, answer.headers.get('x-worker')]).toEqual([204, '1']);
    expect(fakes[1]!.asked.at(-1)).toEqual({
      method: 'POST',
      path: '/purge?bucket=b&key=a%2Fb',
      headers: { 'x-orca-mac': 'm' },
    });
  });

  test('/top adds up', async () => {
    const { app, fakes } = open(2);
    const top = (requests: number, windowMs: number, durationMs: number) => ({
      dateMs: 7,
      totals: { requests, byCache: { HIT: requests } },
      windowMs,
      window: { requests, byCache: { HIT: 1 } },
      slowest: [{ key: `k${durationMs}`, durationMs }],
      now: { fillsRunning: 1 },
    });
    fakes[0]!.answers['/top'] = { body: top(3, 300, 5) };
    fakes[1]!.answers['/top'] = { body: top(4, 100, 9) };
    expect(await (await app.request('/top')).json()).toEqual({
      dateMs: 7,
      totals: { requests: 7, byCache: { HIT: 7 } },
      windowMs: 300,
      window: { requests: 7, byCache: { HIT: 2 } },
      slowest: [
        { key: 'k9', durationMs: 9 },
        { key: 'k5', durationMs: 5 },
      ],
      now: { fillsRunning: 2 },
    });
  });

  test('without a worker that answers are 503', async () => {
    const { app, fakes } = open(1);
    expect((await app.request('/store')).status).toBe(503);
    fakes[0]!.state = 'ended';
    expect((await app.request('/top')).status).toBe(503);
    expect((await app.request('/store')).status).toBe(503);
  });
});
