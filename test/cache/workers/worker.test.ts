import { EventEmitter } from 'node:events';
import { Hono } from 'hono';
import { Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { WORKER_METRICS_PATH, workerIdentity, type FromWorker } from '#cache/workers/messages.ts';
import { serveSupervisor } from '#cache/workers/worker.ts';

class Host extends EventEmitter {
  connected = true;
  readonly sent: FromWorker[] = [];
  send(message: FromWorker): boolean {
    this.sent.push(message);
    this.emit('sent');
    return true;
  }
}

function open() {
  const host = new Host();
  const app = new Hono();
  app.post('/purge', (c) => c.text(`${c.req.url} ${c.req.header('x-orca-mac')}`, 201));
  app.get('/none', (c) => c.body(null, 204));
  app.get('/broken', () => {
    throw new Error('a bug');
  });
  app.onError((error, c) => c.text(error.message, 500));
  const registry = new Registry();
  let disconnects = 0;
  const channel = serveSupervisor(app, registry, () => disconnects++, host);
  const ask = async (path: string, method = 'GET', headers = {}): Promise<FromWorker> => {
    const answered = new Promise((resolve) => host.once('sent', resolve));
    host.emit('message', { type: 'ask', id: 7, method, path, headers });
    await answered;
    return host.sent.at(-1)!;
  };
  return { host, registry, channel, ask, disconnects: () => disconnects };
}

test('answers with its own ops API', async () => {
  const { ask } = open();
  expect(await ask('/purge?key=a%2Fb', 'POST', { 'x-orca-mac': 'm' })).toMatchObject({
    type: 'answer',
    id: 7,
    status: 201,
    body: 'http://localhost/purge?key=a%2Fb m',
  });
  expect(await ask('/none')).toMatchObject({ status: 204, body: '' });
  expect(await ask('/missing')).toMatchObject({ status: 404 });
  expect(await ask('/broken')).toMatchObject({ status: 500 });
});

test('answers with metrics as JSON, without values that JSON does not have', async () => {
  const { ask, registry } = open();
  new Gauge({ name: 'a', help: 'h', registers: [registry] }).set(Number.NaN);
  new Gauge({ name: 'process_start_time_seconds', help: 'h', registers: [registry], aggregator: 'omit' }).set(5);
  const { body } = (await ask(WORKER_METRICS_PATH)) as { body: string };
  expect(JSON.parse(body)).toMatchObject([
    { name: 'a', values: [] },
    { name: 'process_start_time_seconds', aggregator: 'min', values: [{ value: 5 }] },
  ]);
});

test('reports the progress of its start, until the supervisor has ended', () => {
  const { host, channel, disconnects } = open();
  channel.listening();
  channel.ready();
  expect(host.sent).toEqual([{ type: 'listening' }, { type: 'ready' }]);
  host.connected = false;
  host.emit('disconnect');
  channel.ready();
  expect(host.sent).toHaveLength(2);
  expect(disconnects()).toBe(1);
});

test('notices a supervisor that ended before', () => {
  const host = new Host();
  host.connected = false;
  let disconnects = 0;
  serveSupervisor(new Hono(), new Registry(), () => disconnects++, host);
  expect(disconnects).toBe(1);
});

describe('the identity of a worker', () => {
  test.for([
    ['1/4', true, { index: 1, count: 4 }],
    ['1/4', false, undefined],
    ['1', true, undefined],
    ['x/4', true, undefined],
    [undefined, true, undefined],
  ] as const)('%j with a channel: %j', ([value, hasChannel, identity]) => {
    expect(workerIdentity({ ORCA_WORKER: value }, hasChannel)).toEqual(identity);
  });
});
