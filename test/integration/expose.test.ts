/** A real nginx with the directives of the guide, in front of a cache that checks signatures. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXPECTED } from '#test/clients/reading.ts';
import { readWithSdk } from '#test/clients/sdk.ts';
import { startWorld, type World } from '#test/clients/world.ts';
import { fencedBlock } from '#test/support/fenced-blocks.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { http } from '#test/support/http.ts';
import { presign } from '#test/support/presign.ts';
import { BUCKET } from '#test/support/replicas.ts';
import { startServerProcess } from '#test/support/server-process.ts';
import { findTool } from '#test/support/tools.ts';

const PAGE = 'docs/guides/expose.md';
const MIB = 1024 * 1024;
/** More than the sockets between cache and client can hold, and less than nginx would write to its disk. */
const LARGE_BYTES = 96 * MIB;
/** By then an nginx that buffers has written to its disk: the object is in memory. */
const STABLE_MS = 1_000;

interface Proxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Where nginx reports that it writes a response to its disk. */
  readonly log: string;
}

let world: World;
beforeAll(async () => {
  world = await startWorld({ origin: 'S3' });
  await world.put('large/96.bin', Buffer.alloc(LARGE_BYTES, 7));
});
afterAll(() => world[Symbol.asyncDispose]());

async function startProxy(directives: string): Promise<Proxy> {
  const program = findTool('nginx', 'ORCA_NGINX');
  if (program === undefined) throw new Error('nginx is missing: run hack/tools faults');
  const directory = await mkdtemp(join(tmpdir(), 'orca-expose-'));
  const port = await freePort();
  const log = join(directory, 'error.log');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ');
  // The workers of a master that runs as root could not read the directory otherwise.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const config = `daemon off; ${user} worker_processes 1; pid ${directory}/nginx.pid; error_log ${log} warn;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  upstream cache { server ${new URL(world.endpoint).host}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    ${directives}
  }
}
`;
  await writeFile(join(directory, 'nginx.conf'), config);
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = await startServerProcess({
    name: 'nginx',
    program,
    parameters: ['-c', join(directory, 'nginx.conf'), '-p', directory, '-e', log],
    ping: () => fetch(endpoint),
    pollMs: 20,
    startTimeoutMs: 20_000,
  });
  return {
    endpoint,
    log,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(directory, { recursive: true });
    },
  };
}

function guideProxy(change: (directives: string) => string = (directives) => directives): Promise<Proxy> {
  return startProxy(change(fencedBlock(PAGE, 'nginx', 'nginx')));
}

function signed(endpoint: string, key: string): string {
  const { host } = new URL(endpoint);
  return presign({ host, path: `/${BUCKET}/${key}`, ...world.key, atMs: Date.now() });
}

/** Whether nginx has written the object, or a part, to its disk while a client reads only the head. */
async function isBuffered({ endpoint, log }: Proxy): Promise<boolean> {
  const answer = await fetch(`${endpoint}${signed(endpoint, 'large/96.bin')}`);
  expect(answer.status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, STABLE_MS));
  await answer.body?.cancel();
  return (await readFile(log, 'utf8')).includes('buffered to a temporary file');
}

test('signed requests for unusual names and ranges pass, in both address styles', async () => {
  await using proxy = await guideProxy();
  const through = { ...world, endpoint: proxy.endpoint };
  const { 'large/96.bin': _large, ...rest } = Object.fromEntries(
    (await readWithSdk(through)).listed.map((k) => [k, k]),
  );
  expect(Object.keys(rest).toSorted()).toEqual(EXPECTED.listed);
  for (const style of ['path', 'virtual host'] as const) {
    const { whole, ranges } = await readWithSdk(through, style);
    expect({ whole, ranges }).toEqual({ whole: EXPECTED.whole, ranges: EXPECTED.ranges });
  }
});

test('a presigned URL for the public name passes', async () => {
  await using proxy = await guideProxy();
  const target = presign({ host: 's3.example.com', path: `/${BUCKET}/plain.txt`, ...world.key, atMs: Date.now() });
  const answer = await http(proxy.endpoint, target, { headers: { host: 's3.example.com' } });
  expect([answer.status, answer.body.length]).toEqual([200, 10]);
});

test('a proxy that replaces the Host header breaks signatures', async () => {
  await using proxy = await guideProxy((text) => text.replace('Host $http_host', 'Host internal'));
  const answer = await http(proxy.endpoint, signed(proxy.endpoint, 'plain.txt'));
  expect([answer.status, String(answer.body)]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
});

test('a large object streams: nginx writes nothing to its disk, and the client gets it whole', async () => {
  await using proxy = await guideProxy();
  expect(await isBuffered(proxy)).toBe(false);
  const answer = await http(proxy.endpoint, signed(proxy.endpoint, 'large/96.bin'));
  expect([answer.status, answer.complete, answer.body.length]).toEqual([200, true, LARGE_BYTES]);
});

test('with the default of nginx the same object would be written to disk', async () => {
  await using proxy = await guideProxy((text) => text.replace('proxy_buffering off;', ''));
  expect(await isBuffered(proxy)).toBe(true);
});
