/** The HTTP origin against a real nginx. Hubs and servers with other habits are scripted in the unit tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { openHttpOrigin, type HttpOriginOptions } from '#cache/origins/http/origin.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { startConnectProxy } from '#test/support/connect-proxy.ts';
import { NGINX_PASSWORD, NGINX_USER, startNginx, type Nginx } from '#test/support/nginx.ts';
import { TEST_CA } from '#test/support/tls-fixture.ts';
import { originSuite, type OriginFixture } from '#test/conformance/suites/origin.ts';

const { signal } = new AbortController();

function optionsFor(baseUrl: string): HttpOriginOptions {
  return {
    urls: { bucket: baseUrl },
    allowLastModified: false,
    redirectHosts: [],
    credentialsDirectory: undefined,
    caFile: undefined,
    env: {},
  };
}

const openFixture = async (): Promise<OriginFixture> => {
  const nginx = await startNginx();
  const origin = openHttpOrigin(optionsFor(`${nginx.endpoint}/objects/`));
  return {
    origin,
    bucket: 'bucket',
    put: (key, body) => nginx.put(key, body),
    remove: (key) => nginx.remove(key),
    async [Symbol.asyncDispose]() {
      await origin.close();
      await nginx[Symbol.asyncDispose]();
    },
  };
};

originSuite('HTTP (nginx)', openFixture, { dotSegments: 'refused' });

let nginx: Nginx;
const body = patternBytes(100_000, 5);
beforeAll(async () => {
  nginx = await startNginx();
  await nginx.put('key', body);
});
afterAll(() => nginx[Symbol.asyncDispose]());

function open(baseUrl: string, over: Partial<HttpOriginOptions> = {}): Origin {
  const origin = openHttpOrigin({ ...optionsFor(baseUrl), ...over });
  onTestFinished(() => origin.close());
  return origin;
}

async function readAll(origin: Origin): Promise<Buffer> {
  const { etag, sizeBytes } = await origin.head('bucket', 'key', { signal });
  const sink = collectSink();
  const object = { originId: 'test', bucket: 'bucket', key: 'key', etag, sizeBytes };
  await origin.read(object, { from: 1, to: sizeBytes }, sink, { signal });
  return sink.bytes();
}

async function temporaryFiles(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'orca-http-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  return directory;
}

test('an object has one part, any owner, and no list', async () => {
  const origin = open(`${nginx.endpoint}/objects/`);
  const object = { originId: 'test', bucket: 'bucket', key: 'key', etag: 'any', sizeBytes: body.length };
  expect(await origin.part(object, 1, { signal })).toEqual({ range: { from: 0, to: body.length }, count: undefined });
  await expect(origin.part(object, 2, { signal })).rejects.toMatchObject({ code: 'part_not_found' });
  await origin.checkOwner('bucket', 'key', '123456789012', { signal });
  const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
  await expect(origin.list('bucket', query, { signal })).rejects.toMatchObject({ code: 'not_implemented' });
  await expect(origin.list('other', query, { signal })).rejects.toMatchObject({ code: 'bucket_not_found' });
});

test('a redirect to the same server is followed', async () => {
  expect((await readAll(open(`${nginx.endpoint}/moved/`))).equals(body.subarray(1))).toBe(true);
});

test('a directory is not_found', async () => {
  await nginx.put('directory/file', body);
  const origin = open(`${nginx.endpoint}/objects/`);
  await expect(origin.head('bucket', 'directory', { signal })).rejects.toMatchObject({ code: 'not_found' });
});

test('a password is sent, and a wrong one is origin_denied', async () => {
  const right = await temporaryFiles({ username: NGINX_USER, password: `${NGINX_PASSWORD}\n` });
  const baseUrl = `${nginx.endpoint}/private/`;
  expect((await readAll(open(baseUrl, { credentialsDirectory: right }))).equals(body.subarray(1))).toBe(true);
  const wrong = open(baseUrl, {
    credentialsDirectory: await temporaryFiles({ username: NGINX_USER, password: 'wrong' }),
  });
  await expect(wrong.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  await expect(wrong.probe('bucket', '', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  await expect(open(baseUrl).head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
});

test('a private CA is trusted only with its bundle', async () => {
  const baseUrl = `${nginx.tlsEndpoint}/objects/`;
  const directory = await temporaryFiles({ 'ca.crt': TEST_CA });
  expect((await readAll(open(baseUrl, { caFile: join(directory, 'ca.crt') }))).equals(body.subarray(1))).toBe(true);
  await expect(open(baseUrl).head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
});

test('requests go through the HTTP proxy that the environment names', async () => {
  await using proxy = await startConnectProxy();
  const origin = open(`${nginx.endpoint}/objects/`, { env: { HTTP_PROXY: proxy.url } });
  expect((await readAll(origin)).equals(body.subarray(1))).toBe(true);
  expect(new Set(proxy.targets)).toEqual(new Set([new URL(nginx.endpoint).host]));
});

test('a stopped origin is origin_unavailable, and works again after a restart', async () => {
  const origin = open(`${nginx.endpoint}/objects/`);
  await nginx.stop();
  await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
  await expect(origin.probe('bucket', '', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
  await nginx.start();
  expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ sizeBytes: body.length });
});
