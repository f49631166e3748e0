import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPodProbe, type ProbePod } from '#operator/reconcile/probe-pod.ts';

async function podThat(answers: RequestListener): Promise<ProbePod> {
  const server = createServer(answers);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return openPodProbe((server.address() as AddressInfo).port);
}

const patient = (): AbortSignal => new AbortController().signal;

describe('asking a pod', () => {
  test('gives what keeps it from being ready', async () => {
    const checks = { peers: { ok: true, message: 'listed' }, cachestore: { ok: false, message: 'no such bucket' } };
    const ask = await podThat((_request, response) => void response.end(JSON.stringify({ ready: false, checks })));
    expect(await ask('127.0.0.1', patient())).toMatchObject({ failing: ['cachestore: no such bucket'] });
  });

  test.for<readonly [string, RequestListener]>([
    ['that answers with an error', (_request, response) => void response.writeHead(500).end('{}')],
    ['that answers with something else', (_request, response) => void response.end('<html>')],
    ['that answers without end', (_request, response) => void response.end('x'.repeat(100_000))],
    ['that hangs up', (request) => void request.socket.destroy()],
  ])('gives nothing for one %s', async ([, answers]) => {
    expect(await (await podThat(answers))('127.0.0.1', patient())).toBeUndefined();
  });

  test('ends with the reconcile that asks', async () => {
    const stop = new AbortController();
    const ask = await podThat(() => stop.abort(new Error('over')));
    await expect(ask('127.0.0.1', stop.signal)).rejects.toThrow('over');
  });
});
