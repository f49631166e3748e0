/** The way to the pods, over real sockets: kubeconfig, pages, the API server's proxy, exec, and their failures. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '#cache/cli/cluster/connect.ts';
import { acceptOf, parseFrame } from '#cache/cli/cluster/websocket.ts';
import { systemClock } from '#shared/clock.ts';
import { healthyWorld, runCli, type Json, type World } from '#test/support/cli-world.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface ApiServer {
  readonly kubeconfig: string;
  /** Method, path and query of each request. */
  readonly requests: string[];
}

/** An API server in front of a recorded world; `handle` may answer first. */
async function startApiServer(world: World, handle?: Handler, exec?: (socket: Socket) => void): Promise<ApiServer> {
  const requests: string[] = [];
  const http = createServer((request, response) => {
    requests.push(request.url ?? '');
    handle?.(request, response);
    if (!response.writableEnded && !response.headersSent) respond(world, request, response);
  });
  const sockets = new Set<Socket>();
  http.on('connection', (socket) => void sockets.add(socket));
  http.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    requests.push(request.url ?? '');
    if (exec === undefined) {
      const body = JSON.stringify({
        kind: 'Status',
        message: 'pods "models-a" is forbidden',
        reason: 'Forbidden',
        code: 403,
      });
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
      return;
    }
    const accept = acceptOf(request.headers['sec-websocket-key'] ?? '');
    const head = [
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: websocket',
      'connection: Upgrade',
      `sec-websocket-accept: ${accept}`,
    ];
    socket.write(`${head.join('\r\n')}\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n\r\n`);
    exec(socket);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const folder = await mkdtemp(join(tmpdir(), 'orca-cli-'));
  const kubeconfig = join(folder, 'config');
  const context = (name: string, namespace: string) => ({ name, context: { cluster: 'c', user: 'u', namespace } });
  await writeFile(
    kubeconfig,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'first',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'u', user: { token: 't0ken' } }],
      contexts: [context('first', 'ml'), context('second', 'other')],
    }),
  );
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    http.close();
    await rm(folder, { recursive: true });
  });
  return { kubeconfig, requests };
}

function respond(world: World, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://api');
  const send = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  // Over plain HTTP anyone could read the token.
  if (request.headers.authorization !== undefined)
    return send(500, { kind: 'Status', message: 'the token was sent', code: 500 });
  const [, name, path] = /^\/api\/v1\/namespaces\/ml\/pods\/([^:]+):8442\/proxy(\/.*)$/.exec(url.pathname) ?? [];
  const pod = world.pods.find((each) => each.name === name);
  if (pod !== undefined) {
    if (path === '/objects') return send(200, world.objects(pod.name, Object.fromEntries(url.searchParams)));
    const answer = ({ '/status': pod.status, '/top': pod.top, '/store': pod.store } as Record<string, unknown>)[path!];
    if (answer !== undefined) return send(200, answer);
    response.writeHead(404);
    return void response.end('404 Not Found');
  }
  if (url.pathname === '/apis/orcacache.dev/v1alpha1/namespaces/ml/orcacaches')
    return send(200, { items: [world.cache], metadata: {} });
  if (url.pathname === '/apis/orcacache.dev/v1alpha1/orcacaches')
    return send(200, { items: [world.cache], metadata: {} });
  if (url.pathname === '/api/v1/namespaces/ml/pods') {
    // A pod for each page.
    const at = Number(url.searchParams.get('continue') ?? '0');
    const more = at + 1 < world.pods.length ? { continue: String(at + 1) } : {};
    return send(200, { items: [world.pods[at]?.resource], metadata: more });
  }
  send(404, { kind: 'Status', message: `${url.pathname} not found`, reason: 'NotFound', code: 404 });
}

function cli(line: string, world: World, { kubeconfig }: ApiServer) {
  return runCli(`${line} --kubeconfig ${kubeconfig}`, world, { connect, clock: systemClock });
}

/** An unmasked frame of a server. */
function frame(channel: number, text: string): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
  const head = payload.length < 126 ? [0x82, payload.length] : [0x82, 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from(head), payload]);
}

test('status reaches every pod through the proxy, with the credentials of the kubeconfig', async () => {
  const world = healthyWorld();
  const api = await startApiServer(world);
  const { exitCode, out, err } = await cli('status models', world, api);
  expect([exitCode, err]).toEqual([0, '']);
  expect(out).toContain('2 of 2 ready');
  expect(api.requests.filter((path) => path.includes('/proxy/'))).toHaveLength(6);
  const pods = api.requests.filter((path) => path.startsWith('/api/v1/namespaces/ml/pods?'));
  expect(pods).toHaveLength(2);
  expect(new URL(pods[0]!, 'http://api').searchParams.get('labelSelector')).toBe(
    'app.kubernetes.io/name=orcacache,app.kubernetes.io/instance=models,app.kubernetes.io/component=cache',
  );
});

test('the namespace is that of the context, of -n, or all', async () => {
  const world = healthyWorld();
  const api = await startApiServer(world);
  const other = await cli('status --context second', world, api);
  expect(api.requests.at(-1)).toContain('/namespaces/other/orcacaches');
  expect([other.exitCode, other.err]).toMatchObject([
    1,
    expect.stringContaining('no resource orcacaches.orcacache.dev'),
  ]);
  expect((await cli('status --context second -n ml', world, api)).exitCode).toBe(0);
  expect((await cli('status -A --context second', world, api)).exitCode).toBe(0);
  expect((await cli('status --context third', world, api)).err).toContain('context "third" does not exist');
});

test('awkward keys arrive as they are', async () => {
  const world = healthyWorld();
  const keys: string[] = [];
  world.objects = (_, query) => {
    keys.push(String(query['key']));
    return { chunks: [], sizeBytes: 0 };
  };
  const api = await startApiServer(world);
  for (const key of ['a b+c%2F?x=1&y#z', 'ü/../😀', "it's//"]) {
    await runCli(['explain', `s3://models/${key}`, '--kubeconfig', api.kubeconfig], world, {
      connect,
      clock: systemClock,
    });
    expect(new Set(keys.splice(0))).toEqual(new Set([key]));
  }
});

test.for([
  [403, { kind: 'Status', message: 'pods/proxy is forbidden', reason: 'Forbidden' }, /you may not ask the pods/],
  [503, { kind: 'Status', message: 'dial tcp 10.0.0.1:8442: i/o timeout' }, /cannot be reached: .*i\/o timeout/],
] as const)('doctor explains a proxy that answers %d', async ([status, body, message]) => {
  const world = healthyWorld();
  const api = await startApiServer(world, (request, response) => {
    if (request.url?.includes('/proxy/') !== true) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body satisfies Json));
  });
  const { exitCode, out } = await cli('doctor models', world, api);
  expect(exitCode).toBe(1);
  expect(out).toMatch(message);
});

test('a proxy that never answers ends with the time limit', async () => {
  const world = healthyWorld();
  const api = await startApiServer(world, (request, response) => {
    if (request.url?.includes('/proxy/') === true) response.writeHead(200);
  });
  const { out } = await cli('doctor models --request-timeout 50ms', world, api);
  expect(out).toContain('no response within 50 ms');
});

test('an old pod and a refused name: messages without a stack', async () => {
  const world = healthyWorld();
  const old = await startApiServer(world, (request, response) => {
    if (request.url?.includes('/objects') === true) response.writeHead(404).end('404 Not Found');
  });
  expect((await cli('ls s3://models/', world, old)).err).toBe(
    'error: pod models-a runs a release without this report: update the cache\n',
  );
  const refusing = await startApiServer(world, (request, response) => {
    if (request.url?.includes('/objects') !== true) return;
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', reason: 'not_found', message: 'models/a does not exist', code: 404 }),
    );
  });
  expect((await cli('explain s3://models/a', world, refusing)).err).toBe('error: models/a does not exist\n');
});

test('purge runs its command by exec and shows how it ended', async () => {
  const world = healthyWorld();
  const succeeds = await startApiServer(world, undefined, (socket) => {
    const [first, second] = [frame(1, `purged 1\n${'x'.repeat(300)}`), frame(3, JSON.stringify({ status: 'Success' }))];
    // Frames arrive in pieces, and with a ping between them.
    socket.write(first.subarray(0, 5));
    setImmediate(() => socket.end(Buffer.concat([first.subarray(5), Buffer.from([0x89, 0]), second])));
  });
  expect(await cli('purge s3://models/a+b', world, succeeds)).toMatchObject({
    exitCode: 0,
    out: 's3://models/a+b purged\n',
  });
  const url = new URL(succeeds.requests.at(-1)!, 'http://api');
  expect(url.pathname).toBe('/api/v1/namespaces/ml/pods/models-a/exec');
  expect(url.searchParams.getAll('command')).toEqual(['node', 'cache/main.ts', 'purge', '--', 'models', 'a+b']);

  const fails = await startApiServer(world, undefined, (socket) => {
    const causes = [{ reason: 'ExitCode', message: '1' }];
    const status = { status: 'Failure', reason: 'NonZeroExitCode', message: 'exit code 1', details: { causes } };
    socket.end(Buffer.concat([frame(2, 'not purged: 404: no bucket\n'), frame(3, JSON.stringify(status))]));
  });
  expect(await cli('purge s3://models/a', world, fails)).toMatchObject({
    exitCode: 1,
    err: 'error: not purged: 404: no bucket\n',
  });

  const lost = await startApiServer(world, undefined, (socket) => socket.end(frame(1, 'purged 1\n')));
  expect((await cli('purge s3://models/a', world, lost)).err).toContain('lost before the command ended');
  const forbidden = await startApiServer(world);
  expect((await cli('purge s3://models/a', world, forbidden)).err).toMatch(
    /^error: exec: 403 pods "models-a" is forbidden\nSee /,
  );
});

test('a hostile frame is refused', () => {
  expect(() => parseFrame(Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0]))).toThrow('masks');
  expect(() => parseFrame(Buffer.from([0x82, 127, 0, 0, 255, 255, 255, 255, 255, 255]))).toThrow('too large');
  expect(parseFrame(Buffer.from([0x82, 126, 1]))).toBeUndefined();
});

test('without an API server, pods are queried by their URLs', async () => {
  const world = healthyWorld();
  const http = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/status' ? world.pods[0]!.status : {}));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void http.close());
  const { port } = http.address() as AddressInfo;
  const { exitCode, out } = await runCli(`status --pod-url http://127.0.0.1:${port}`, world, {
    connect,
    clock: systemClock,
  });
  expect([exitCode, out]).toEqual([0, expect.stringContaining(`127.0.0.1:${port}`)]);
  expect((await runCli('purge s3://models/a --pod-url http://127.0.0.1:1', world, { connect })).err).toContain(
    'leave out --pod-url',
  );
  expect((await runCli('status --pod-url somewhere', world, { connect })).err).toContain('is not a URL');
});
