/**
 * Runs against Azurite, which differs from the real service: it accepts any name as a marker, lists in the order of
 * JavaScript's strings, truncates delimiters to one character (none is ever sent), and has no `startFrom`, no hierarchical
 * namespace and no OAuth. `test/cache/origins/azure-blob/list.test.ts` scripts a service with these features.
 */
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { openAzureOrigin } from '#cache/origins/azure-blob/origin.ts';
import { AZURITE_HOOK_MS, startAzurite, type Azurite } from '#test/support/azurite.ts';
import { patternBytes } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { startConnectProxy } from '#test/support/connect-proxy.ts';
import { originListSuite } from '#test/conformance/suites/origin-list.ts';
import { originSuite, type OriginFixture } from '#test/conformance/suites/origin.ts';

/** One for the whole file, because a start takes longer than all tests. */
let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite({ containers: ['objects', 'lists', 'more'] });
}, AZURITE_HOOK_MS);
afterAll(() => azurite[Symbol.asyncDispose]());

const fixtureIn = (bucket: string) => async (): Promise<OriginFixture> => {
  const origin = openAzureOrigin(azurite.client);
  return {
    origin,
    bucket,
    put: (key, body, headers) => azurite.putBlob(bucket, key, body, headers),
    remove: (key) => azurite.deleteBlob(bucket, key),
    [Symbol.asyncDispose]: () => origin.close(),
  };
};

originSuite('Azure Blob (Azurite)', fixtureIn('objects'));
originListSuite('Azure Blob (Azurite)', fixtureIn('lists'));

const { signal } = new AbortController();

function open(over: Partial<Parameters<typeof openAzureOrigin>[0]> = {}): Origin {
  const origin = openAzureOrigin({ ...azurite.client, ...over });
  onTestFinished(() => origin.close());
  return origin;
}

const create = async (name: string, type: 'PageBlob' | 'AppendBlob'): Promise<void> => {
  const size: Record<string, string> = type === 'PageBlob' ? { 'x-ms-blob-content-length': '512' } : {};
  const headers = { 'x-ms-blob-type': type, 'content-length': '0', ...size };
  expect((await azurite.request({ method: 'PUT', container: 'more', blob: name, headers })).status).toBe(201);
};

test.for(['PageBlob', 'AppendBlob'] as const)('a %s is origin_unsupported, in a head and in a read', async (type) => {
  await create(type, type);
  const origin = open();
  await expect(origin.head('more', type, { signal })).rejects.toMatchObject({ code: 'origin_unsupported' });
  const { headers } = await azurite.request({ method: 'HEAD', container: 'more', blob: type });
  const etag = `${String(headers['etag']).replaceAll('"', '')}-1`;
  const object = { originId: 'o', bucket: 'more', key: type, etag, sizeBytes: 512 };
  await expect(origin.read(object, { from: 0, to: 10 }, collectSink(), { signal })).rejects.toMatchObject(
    // An empty append blob has no range. In practice the blob was a block blob when its head was read.
    { code: type === 'PageBlob' ? 'origin_unsupported' : 'object_changed' },
  );
});

test('an archived blob has a head, and a read is object_archived', async () => {
  await azurite.putBlob('more', 'archived', 'cold', { 'x-ms-access-tier': 'Archive' });
  const origin = open();
  const head = await origin.head('more', 'archived', { signal });
  expect(head.headers).toMatchObject({ 'x-amz-storage-class': 'GLACIER' });
  const object = { originId: 'o', bucket: 'more', key: 'archived', ...head };
  await expect(origin.read(object, { from: 0, to: 4 }, collectSink(), { signal })).rejects.toMatchObject({
    code: 'object_archived',
  });
});

test('a blob marked as a directory is neither listed nor an object', async () => {
  await azurite.putBlob('more', 'marked', '', { 'x-ms-meta-hdi_isfolder': 'true' });
  await azurite.putBlob('more', 'marked/file', 'x');
  const origin = open();
  const page = await origin.list('more', { prefix: 'marked', delimiter: '', after: '', maxKeys: 10 }, { signal });
  expect(page.items.map((item) => (item.kind === 'object' ? item.entry.key : item.prefix))).toEqual(['marked/file']);
  await expect(origin.head('more', 'marked', { signal })).rejects.toMatchObject({ code: 'not_found' });
});

test('an ETag has a dash in heads and lists, and is sent as Azure’s own', async () => {
  await azurite.putBlob('more', 'dashed', patternBytes(100));
  const origin = open();
  const head = await origin.head('more', 'dashed', { signal });
  expect(head.etag).toMatch(/^0x[0-9A-F]+-1$/);
  const { items } = await origin.list('more', { prefix: 'dashed', delimiter: '', after: '', maxKeys: 1 }, { signal });
  expect(items).toMatchObject([{ entry: { etag: head.etag } }]);
  const sink = collectSink();
  await origin.read({ originId: 'o', bucket: 'more', key: 'dashed', ...head }, { from: 1, to: 3 }, sink, { signal });
  expect(sink.bytes().equals(patternBytes(100).subarray(1, 3))).toBe(true);
});

/** An account SAS that may read and list blobs until `expiry`. */
function accountSas(expiry: string): string {
  const version = '2020-04-08';
  const text = [azurite.account, 'rl', 'b', 'sco', '', expiry, '', 'https,http', version, ''].join('\n');
  const sig = createHmac('sha256', Buffer.from(azurite.accountKey, 'base64')).update(text, 'utf8').digest('base64');
  return new URLSearchParams({
    sv: version,
    ss: 'b',
    srt: 'sco',
    sp: 'rl',
    se: expiry,
    spr: 'https,http',
    sig,
  }).toString();
}

async function openWith(sas: string): Promise<Origin> {
  const directory = await mkdtemp(join(tmpdir(), 'orca-sas-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'sas-token'), `?${sas}\n`);
  return open({ credentials: { kind: 'directory', path: directory } });
}

test('a SAS token reads and lists; an expired one is reported as origin_denied', async () => {
  await azurite.putBlob('more', 'by sas', 'hello');
  const origin = await openWith(accountSas('2100-01-01T00:00:00Z'));
  const head = await origin.head('more', 'by sas', { signal });
  const sink = collectSink();
  await origin.read({ originId: 'o', bucket: 'more', key: 'by sas', ...head }, { from: 0, to: 5 }, sink, { signal });
  expect(sink.bytes().toString()).toBe('hello');
  const query = { prefix: 'by s', delimiter: '', after: '', maxKeys: 5 };
  expect((await origin.list('more', query, { signal })).items).toHaveLength(1);

  const expired = await openWith(accountSas('2020-01-01T00:00:00Z'));
  await expect(expired.head('more', 'by sas', { signal })).rejects.toMatchObject({
    code: 'origin_denied',
    message: 'the SAS token expired at 2020-01-01T00:00:00.000Z',
  });
});

test('a wrong key is origin_denied, not a missing blob', async () => {
  process.env['ORCA_TEST_WRONG_KEY'] = Buffer.from('wrong').toString('base64');
  const origin = open({ credentials: { kind: 'env', accountKeyVar: 'ORCA_TEST_WRONG_KEY' } });
  await expect(origin.head('more', 'any', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  await expect(origin.probe('more', '', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
  await expect(origin.list('more', query, { signal })).rejects.toMatchObject({ code: 'origin_denied' });
});

test('requests go through the HTTP proxy that the environment names', async () => {
  await using proxy = await startConnectProxy();
  await azurite.putBlob('more', 'far', 'hello');
  const env = { HTTP_PROXY: proxy.url, ORCA_TEST_ACCOUNT_KEY: azurite.accountKey };
  expect(await open({ env }).head('more', 'far', { signal })).toMatchObject({ sizeBytes: 5 });
  expect(proxy.targets).toEqual([new URL(azurite.endpoint).host]);
});

test(
  'a stopped origin is origin_unavailable, and works again after a restart',
  async () => {
    const origin = open();
    await azurite.stop();
    await expect(origin.head('more', 'any', { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
    await azurite.start();
    await expect(origin.head('more', 'any', { signal })).rejects.toMatchObject({ code: 'bucket_not_found' });
  },
  AZURITE_HOOK_MS,
);
