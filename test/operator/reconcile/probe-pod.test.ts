import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPodProbe, type ProbePod } from '#operator/reconcile/probe-pod.ts';

async function podWith(handler: RequestListener): Promise<ProbePod> {
  const server = createServer(handler);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return openPodProbe((server.address() as AddressInfo).port);
}

const noAbort = (): AbortSignal => new AbortController().signal;

describe('a pod probe', () => {
  test('reports the failing readiness checks', async () => {
    const checks = { peers: { ok: true, message: 'listed' }, cachestore: { ok: false, message: 'no such bucket' } };
    const ask = await podWith((_request, response) => void response.end(JSON.stringify({ ready: false, checks })));
    expect(await ask('127.0.0.1', noAbort())).toMatchObject({ failing: ['cachestore: no such bucket'] });
  });

  test('reports a thousand buckets that fail', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `${'bucket-'.repeat(8)}${index}`);
    const failed = { state: 'failed', message: 'e'.repeat(200) };
    const checks = Object.fromEntries(names.map((name) => [`bucket ${name}`, { ok: false, message: failed.message }]));
    const origin = Object.fromEntries(names.map((name) => [name, failed]));
    const ask = await podWith((_request, response) => void response.end(JSON.stringify({ checks, origin })));
    expect((await ask('127.0.0.1', noAbort()))?.buckets).toHaveLength(1000);
  });

  test.for<readonly [string, RequestListener]>([
    ['an error status', (_request, response) => void response.writeHead(500).end('{}')],
    ['a response that is not JSON', (_request, response) => void response.end('<html>')],
    ['a report that is too long', (_request, response) => void response.end('x'.repeat(1_100_000))],
    ['a connection that is closed', (request) => void request.socket.destroy()],
  ])('resolves with undefined for %s', async ([, handler]) => {
    expect(await (await podWith(handler))('127.0.0.1', noAbort())).toBeUndefined();
  });

  test('is aborted with the reconcile', async () => {
    const stop = new AbortController();
    const ask = await podWith(() => stop.abort(new Error('over')));
    await expect(ask('127.0.0.1', stop.signal)).rejects.toThrow('over');
  });
});
