import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type RequestListener,
  type RequestOptions,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type CountingProxy, startCountingProxy } from '#hack/demo-support/counting-proxy.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0 };
const MIB = 1024 * 1024;

async function startUpstream(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  server.listen(ANY_PORT.port, ANY_PORT.host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function startProxy(listener: RequestListener, latencyMs = 0): Promise<CountingProxy> {
  const port = await startUpstream(listener);
  const proxy = await startCountingProxy(new URL(`http://127.0.0.1:${port}`), ANY_PORT, ANY_PORT, latencyMs);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

async function exchange(
  port: number,
  options: RequestOptions,
  body?: Uint8Array,
): Promise<{ response: IncomingMessage; body: Buffer }> {
  const outgoing = request({ host: '127.0.0.1', port, ...options }).end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { response, body: await buffer(response) };
}

describe('counting proxy', () => {
  test('forwards target, header spelling, Host and body unchanged', async () => {
    let seen: { url: string | undefined; headers: string[]; body: Buffer } | undefined;
    const proxy = await startProxy((incoming, outgoing) => {
      void buffer(incoming).then((body) => {
        seen = { url: incoming.url, headers: incoming.rawHeaders, body };
        outgoing.writeHead(200, 'Fine', ['ETag', '"a"', 'X-Amz-Id-2', 'z', 'content-length', '0']).end();
      });
    });
    const target = '/bucket/a//b/../c%20d+e%2Bf(1)/é'.replace('é', '%C3%A9');
    const { response } = await exchange(
      proxy.port,
      { method: 'PUT', path: target, headers: { HOST: 'origin.example:9', 'X-Amz-Date': 'now', 'Content-Length': 3 } },
      Buffer.from('abc'),
    );
    expect(seen?.url).toBe(target);
    expect(seen?.body.toString()).toBe('abc');
    expect(seen?.headers.join('\n')).toContain('HOST\norigin.example:9\nX-Amz-Date\nnow\nContent-Length\n3');
    expect([response.statusMessage, ...response.rawHeaders.slice(0, 4)]).toEqual([
      'Fine',
      'ETag',
      '"a"',
      'X-Amz-Id-2',
      'z',
    ]);
  });

  test('keeps chunked uploads chunked and sends an empty PUT without a body', async () => {
    const seen: (string | undefined)[] = [];
    const proxy = await startProxy((incoming, outgoing) => {
      seen.push(incoming.headers['transfer-encoding'] ?? `length ${incoming.headers['content-length']}`);
      void buffer(incoming).then((body) => outgoing.end(body));
    });
    const chunked = { method: 'PUT', path: '/b/k', headers: { 'Transfer-Encoding': 'chunked' } };
    expect((await exchange(proxy.port, chunked, Buffer.from('abc'))).body.toString()).toBe('abc');
    const socket = connect(proxy.port, '127.0.0.1');
    socket.write('PUT /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect((await buffer(socket)).toString()).toMatch(/^HTTP\/1.1 200 /);
    expect(seen).toEqual(['chunked', 'length 0']);
  });

  test('forwards each request later by the given latency', async () => {
    const proxy = await startProxy((_incoming, outgoing) => void outgoing.end('late'), 50);
    const startedMs = performance.now();
    expect((await exchange(proxy.port, { path: '/b/k' })).body.toString()).toBe('late');
    // Timers may fire up to a millisecond early.
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(49);
  });

  test('counts by operation, and body bytes of successful responses only', async () => {
    const body = Buffer.alloc(3 * MIB, 7);
    const proxy = await startProxy((incoming, outgoing) => {
      const isMissing = incoming.url?.endsWith('missing') === true;
      outgoing.writeHead(isMissing ? 404 : incoming.headers.range === undefined ? 200 : 206, {
        'content-length': body.length,
      });
      outgoing.end(incoming.method === 'HEAD' ? undefined : body);
    });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const range = { range: 'bytes=0-1' };
    const plain = await exchange(proxy.port, { agent, path: '/b/k?versionId=1' });
    expect(plain.body.equals(body)).toBe(true);
    await exchange(proxy.port, { agent, path: '/b/k', headers: range });
    await exchange(proxy.port, { agent, path: '/b/k', headers: range });
    await exchange(proxy.port, { agent, path: '/b/missing', headers: range });
    await exchange(proxy.port, { agent, path: '/b/k', method: 'HEAD' });
    await exchange(proxy.port, { agent, path: '/b/?list-type=2' });
    await vi.waitFor(() => expect(proxy.stats().inFlight).toBe(0));
    expect(proxy.stats()).toEqual({
      inFlight: 0,
      failedResponses: 0,
      total: { requests: 6, succeeded: 5, bodyBytes: 4 * body.length },
      operations: {
        'GET bucket': { requests: 1, succeeded: 1, bodyBytes: body.length },
        'GET object': { requests: 1, succeeded: 1, bodyBytes: body.length },
        'GET object range': { requests: 3, succeeded: 2, bodyBytes: 2 * body.length },
        'HEAD object': { requests: 1, succeeded: 1, bodyBytes: 0 },
      },
    });
  });

  test('returns and resets its counters on the admin port', async () => {
    const proxy = await startProxy((_incoming, outgoing) => outgoing.end('four'));
    await exchange(proxy.port, { path: '/b/k' });
    const total = { requests: 1, succeeded: 1, bodyBytes: 4 };
    const admin = async (method: string, path: string): Promise<unknown> =>
      JSON.parse((await exchange(proxy.adminPort, { method, path })).body.toString());
    expect(await admin('GET', '/_stats')).toMatchObject({ total, operations: { 'GET object': total } });
    expect(await admin('POST', '/_reset')).toMatchObject({ total });
    expect(await admin('GET', '/_stats')).toMatchObject({ total: { requests: 0 }, operations: {} });
    expect((await exchange(proxy.adminPort, { path: '/other' })).response.statusCode).toBe(404);
  });

  test('closes the connection after a truncated response', async () => {
    const proxy = await startProxy((_incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 10 * MIB });
      outgoing.write(Buffer.alloc(MIB), () => outgoing.destroy());
    });
    await expect(exchange(proxy.port, { path: '/b/k' })).rejects.toThrow('aborted');
    await vi.waitFor(() => expect(proxy.stats()).toMatchObject({ inFlight: 0, failedResponses: 1 }));
  });

  test('cancels the upstream request when the client disconnects, and reads ahead no further than its buffers', async () => {
    let upstreamClosed = false;
    const proxy = await startProxy((_incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 1024 * MIB });
      const more = (): void => {
        while (!outgoing.destroyed && outgoing.write(Buffer.alloc(MIB)));
      };
      outgoing.on('drain', more).once('close', () => (upstreamClosed = true));
      more();
    });
    const outgoing = request({ host: '127.0.0.1', port: proxy.port, path: '/b/k' }).end();
    await once(outgoing, 'response');
    outgoing.destroy();
    await vi.waitFor(() => expect(upstreamClosed).toBe(true));
    await vi.waitFor(() => expect(proxy.stats()).toMatchObject({ inFlight: 0, failedResponses: 0 }));
    expect(proxy.stats().total.bodyBytes).toBeLessThan(64 * MIB);
  });

  test('retries once when a reused connection is closed', async () => {
    let received = 0;
    const proxy = await startProxy((incoming, outgoing) => {
      received += 1;
      // The second request arrives on the reused connection, which closes without a response.
      if (received === 2) incoming.socket.destroy();
      else outgoing.end('fine');
    });
    await exchange(proxy.port, { path: '/b/k' });
    expect((await exchange(proxy.port, { path: '/b/k' })).body.toString()).toBe('fine');
    expect(proxy.stats().total).toEqual({ requests: 2, succeeded: 2, bodyBytes: 8 });
  });

  test('returns 502 while the upstream is unavailable', async () => {
    const proxy = await startCountingProxy(new URL('http://127.0.0.1:1'), ANY_PORT, ANY_PORT);
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    expect((await exchange(proxy.port, { path: '/b/k' })).response.statusCode).toBe(502);
    expect(proxy.stats()).toMatchObject({ failedResponses: 1, total: { requests: 1, succeeded: 0 } });
  });
});
