import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ApiServer } from '#shared/kube/api-request.ts';
import { openKubeClient } from '#shared/kube/client.ts';
import { openInCluster } from '#shared/kube/in-cluster.ts';
import { openKubeconfig } from '#shared/kube/kubeconfig.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

interface Identity {
  readonly cert: string;
  readonly key: string;
}
let ours: Identity;
let theirs: Identity;

/** A self-signed certificate for 127.0.0.1, which is its own CA. */
async function identity(name: string): Promise<Identity> {
  const path = await mkdtemp(join(tmpdir(), 'orca-tls-'));
  try {
    const [cert, key] = [join(path, 'cert.pem'), join(path, 'key.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    await promisify(execFile)('openssl', [
      'req',
      '-x509',
      ...curve,
      ...names,
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
    ]);
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  } finally {
    await rm(path, { recursive: true });
  }
}

beforeAll(async () => {
  [ours, theirs] = await Promise.all([identity('ours'), identity('theirs')]);
});

async function apiServer(wanted: { token?: string; clientCa?: string } = {}) {
  const tokens: (string | undefined)[] = [];
  const clients: (string | undefined)[] = [];
  let token = wanted.token;
  const server: Server = createServer(
    {
      cert: ours.cert,
      key: ours.key,
      ...(wanted.clientCa === undefined ? {} : { ca: wanted.clientCa, requestCert: true }),
    },
    (request, response) => {
      tokens.push(request.headers.authorization);
      const socket = request.socket as TLSSocket;
      clients.push((socket.getPeerCertificate().subject as { CN?: string } | undefined)?.CN);
      const allowed = token === undefined || request.headers.authorization === `Bearer ${token}`;
      response.writeHead(allowed ? 200 : 401, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(allowed ? { url: request.url } : { kind: 'Status', code: 401, reason: 'Unauthorized' }),
      );
    },
  );
  let connections = 0;
  server.on('secureConnection', () => (connections += 1));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return {
    port,
    tokens,
    clients,
    connections: () => connections,
    rotate(next: string) {
      token = next;
    },
  };
}

async function directory(files: Readonly<Record<string, string>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orca-sa-'));
  onTestFinished(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return path;
}

describe('openInCluster', () => {
  async function open(files: Readonly<Record<string, string>> = {}) {
    const api = await apiServer({ token: 't1' });
    const path = await directory({ token: 't1\n', 'ca.crt': ours.cert, namespace: 'ml\n', ...files });
    const clock = fakeClock();
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) };
    const server = openInCluster({ env, directory: path, clock });
    return { api, path, clock, server, client: openKubeClient(server, { clock }) };
  }

  test('uses the token and the CA of the service account', async () => {
    const { api, client, server } = await open();
    expect(await client.request('GET', '/version')).toEqual({ url: '/version' });
    expect(api.tokens).toEqual(['Bearer t1']);
    expect(server.namespace).toBe('ml');
  });

  test('does not send the token to an API server with a certificate of another CA', async () => {
    const { api, client } = await open({ 'ca.crt': theirs.cert });
    await expect(client.request('GET', '/version')).rejects.toMatchObject({ status: 0, reason: 'Unreachable' });
    expect(api.tokens).toEqual([]);
  });

  test('uses a renewed token within a minute', async () => {
    const { api, path, clock, client } = await open();
    await client.request('GET', '/a');
    await writeFile(join(path, 'token'), 't2');
    await client.request('GET', '/b');
    await clock.advance(60_000);
    api.rotate('t2');
    await client.request('GET', '/c');
    expect(api.tokens).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t2']);
  });

  test('reads the token again at once after a 401', async () => {
    const { api, path, client } = await open();
    await client.request('GET', '/a');
    await writeFile(join(path, 'token'), 't2');
    api.rotate('t2');
    await expect(client.request('GET', '/b')).rejects.toMatchObject({ status: 401, reason: 'Unauthorized' });
    expect(await client.request('GET', '/c')).toEqual({ url: '/c' });
  });

  test('uses a changed CA', async () => {
    const { path, clock, client } = await open({ 'ca.crt': theirs.cert });
    await expect(client.request('GET', '/a')).rejects.toMatchObject({ reason: 'Unreachable' });
    await writeFile(join(path, 'ca.crt'), ours.cert);
    await clock.advance(60_000);
    expect(await client.request('GET', '/b')).toEqual({ url: '/b' });
  });

  test('reports an unreadable token as Credentials', async () => {
    const { path, client } = await open();
    await rm(join(path, 'token'));
    await expect(client.request('GET', '/a')).rejects.toMatchObject({ status: 0, reason: 'Credentials' });
  });

  test('fails outside a pod', () => {
    expect(() => openInCluster({ env: {} })).toThrow('does not run in a pod');
  });

  test('puts an IPv6 address in brackets', () => {
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(openInCluster({ env, directory: '/nowhere' }).url.href).toBe('https://[fd00::1]:6443/');
  });
});

describe('openKubeconfig', () => {
  /** From a file; `cluster` and `user` in YAML. */
  async function openConfig(cluster: string, user: string): Promise<ApiServer> {
    const path = await directory({
      config: `
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u, namespace: ml}}]
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
`,
    });
    return openKubeconfig(join(path, 'config'));
  }

  async function open(user: string, wanted: { token?: string; clientCa?: string } = {}, base = '') {
    const api = await apiServer(wanted);
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const cluster = `{server: 'https://127.0.0.1:${api.port}${base}', certificate-authority-data: ${base64(ours.cert)}}`;
    const server = await openConfig(cluster, user);
    return { api, server, client: openKubeClient(server) };
  }

  test('uses the token and the namespace of the context', async () => {
    const { client, server } = await open('{token: t1}', { token: 't1' });
    expect(await client.request('GET', '/version')).toEqual({ url: '/version' });
    expect(server.namespace).toBe('ml');
  });

  test('presents a client certificate', async () => {
    const data = (text: string): string => Buffer.from(text).toString('base64');
    const user = `{client-certificate-data: ${data(theirs.cert)}, client-key-data: ${data(theirs.key)}}`;
    const { api, client } = await open(user, { clientCa: theirs.cert });
    await client.request('GET', '/version');
    expect(api.clients).toEqual(['theirs']);
  });

  test('gets the token from an exec plugin', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 't1' },
    });
    const user = `{exec: {apiVersion: client.authentication.k8s.io/v1, command: echo, args: ['${credential}'], interactiveMode: Never}}`;
    const { client } = await open(user, { token: 't1' });
    expect(await client.request('GET', '/version')).toEqual({ url: '/version' });
  });

  test('keeps a path in the server’s URL', async () => {
    const { client } = await open('{token: t1}', {}, '/k8s/clusters/c-1');
    expect(await client.request('GET', '/version')).toEqual({ url: '/k8s/clusters/c-1/version' });
  });

  test('keeps connections alive for the next request', async () => {
    const { api, client } = await open('{token: t1}');
    for (const path of ['/a', '/b', '/c']) await client.request('GET', path);
    expect(api.connections()).toBe(1);
  });

  test.for([{ proxied: false }, { proxied: true }])(
    'sends no credentials over plain HTTP, proxied: $proxied',
    async ({ proxied }) => {
      const requests: unknown[] = [];
      const api = createHttpServer(({ url, headers }, response) => {
        requests.push([url, headers.authorization]);
        response.end('{}');
      });
      api.on('connect', ({ url, headers }, socket: Socket) => {
        requests.push([url, headers.authorization]);
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        api.emit('connection', socket);
      });
      await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void api.close());
      const here = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
      const cluster = proxied ? `{server: 'http://api.example', proxy-url: '${here}'}` : `{server: '${here}'}`;
      await openKubeClient(await openConfig(cluster, '{token: t1}')).request('GET', '/version');
      expect(requests).toEqual([...(proxied ? [['api.example:80', undefined]] : []), ['/version', undefined]]);
    },
  );
});
