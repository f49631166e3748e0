import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openS3Client, type S3ClientOptions } from '#cache/wire/s3/client.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { startConnectProxy } from '#test/support/connect-proxy.ts';
import { reply, startScriptedServer } from '#test/support/scripted-server.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';

const { signal } = new AbortController();
const BODY = patternBytes(3_000_000);

function optionsFor(endpoint: string, env: Record<string, string>, caFile = ''): S3ClientOptions {
  return {
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { kind: 'env', accessKeyIdVar: 'PATH', secretAccessKeyVar: 'PATH' },
    caFile,
    env,
  };
}

test.for(['http', 'https'] as const)('a body arrives through a proxy from an %s server', async (scheme) => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-tunnel-'));
  const caFile = join(directory, 'ca.crt');
  await writeFile(caFile, TEST_CA);
  await using proxy = await startConnectProxy({ authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}` });
  await using server = await startScriptedServer(
    (_, answer) => answer.write(reply('200 OK', {}, BODY)),
    scheme === 'https' ? { cert: TEST_CERTIFICATE, key: TEST_KEY } : undefined,
  );
  const url = proxy.url.replace('http://', 'http://me:p%40ss@');
  const client = openS3Client(optionsFor(server.endpoint, { HTTPS_PROXY: url, HTTP_PROXY: url }, caFile));
  for (let round = 0; round < 3; round++) {
    const sink = collectSink({ windowBytes: 100_000, pauseAfterWindow: true });
    await client.send({ method: 'GET', bucket: 'b', key: 'k', sink }, { signal });
    expect(sink.bytes().equals(BODY)).toBe(true);
  }
  const { host } = new URL(server.endpoint);
  // One tunnel, kept alive; the Host header names the server.
  expect(proxy.targets).toEqual([host]);
  expect(server.requests[0]?.headers['host']).toBe(host);
  client.close();
  await rm(directory, { recursive: true });
});

test('a proxy that refuses or is unreachable is a connect failure', async () => {
  await using proxy = await startConnectProxy({ authorization: 'Basic other' });
  await using server = await startScriptedServer((_, answer) => answer.write(reply('200 OK', {}, 'x')));
  for (const url of [proxy.url, 'http://127.0.0.1:9']) {
    const client = openS3Client(optionsFor(server.endpoint, { HTTP_PROXY: url }));
    await expect(client.send({ method: 'GET', bucket: 'b', key: 'k' }, { signal })).rejects.toMatchObject({
      name: 'WireError',
    });
    client.close();
  }
  expect(server.requests).toHaveLength(0);
});

test('a body cut behind the proxy is cut for the client', async () => {
  await using proxy = await startConnectProxy();
  await using server = await startScriptedServer((_, answer) => {
    answer.write(reply('200 OK', { 'content-length': '1000000' }, BODY.subarray(0, 500_000)));
    answer.end();
  });
  const client = openS3Client(optionsFor(server.endpoint, { HTTP_PROXY: proxy.url }));
  const sink = collectSink();
  await expect(client.send({ method: 'GET', bucket: 'b', key: 'k', sink }, { signal })).rejects.toMatchObject({
    name: 'WireError',
  });
  expect(BODY.subarray(0, sink.lengthBytes).equals(sink.bytes())).toBe(true);
  client.close();
});
