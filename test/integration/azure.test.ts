/** Replicas with an Azure origin and an Azure cachestore: clients use S3 as always. */
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AZURITE_HOOK_MS, startAzurite, type Azurite } from '#test/support/azurite.ts';
import { patternBytes } from '#test/support/engines.ts';
import { startFaultProxy, type FaultProxy } from '#test/support/fault-proxy.ts';
import { http, sha256 } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  ORIGIN_BUCKET,
  ORIGIN_ID,
  startReplicas,
  STORE_BUCKET,
  type Replicas,
} from '#test/support/replicas.ts';

const BODY = patternBytes(5 * MIB + 12_345);

let azurite: Azurite;
let originProxy: FaultProxy;
let cache: Replicas;
const started = new AsyncDisposableStack();

beforeAll(async () => {
  azurite = started.use(await startAzurite({ containers: [ORIGIN_BUCKET, STORE_BUCKET] }));
  originProxy = started.use(await startFaultProxy(new URL(azurite.endpoint).origin));
  const directory = await mkdtemp(join(tmpdir(), 'orca-azure-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'account-key'), azurite.accountKey);
  const { account } = azurite;
  const azureBlob = (endpoint: string) => ({ account, endpoint, credentials: { directory } });
  await azurite.putBlob(ORIGIN_BUCKET, 'a.bin', BODY);
  cache = started.use(
    await startReplicas({
      replicas: 2,
      // Its verdict is noted in the store that the replicas do not use here.
      storeKnown: false,
      changes: {
        origin: {
          id: ORIGIN_ID,
          type: 'AzureBlob',
          azureBlob: azureBlob(`${originProxy.endpoint}/${account}`),
          buckets: [{ name: BUCKET, originBucket: ORIGIN_BUCKET }],
        },
        cacheStore: { type: 'AzureBlob', azureBlob: { ...azureBlob(azurite.endpoint), container: STORE_BUCKET } },
        'edge.listTTL': '0s',
      },
    }),
  );
}, AZURITE_HOOK_MS);
afterAll(() => started.disposeAsync());

const path = (key: string): string => `/${BUCKET}/${key}`;
const edge = (index = 0): string => cache.all[index]!.edge;

test('what was read cold is read warm, from the cachestore, by any replica and after the origin has lost it', async () => {
  originProxy.reset();
  const cold = await http(edge(), path('a.bin'));
  expect(cold.status).toBe(200);
  expect(cold.headers['x-cache']).toBe('MISS');
  expect(cold.headers['etag']).toMatch(/^"0x[0-9A-F]+-1"$/);
  expect(sha256(cold.body)).toBe(sha256(BODY));
  await cache.idle();
  expect(await originProxy.counts('GET')).toEqual({ requests: 6, bodyBytes: BODY.length });
  expect(await cache.total('orca_committed_bytes_total')).toBe(BODY.length);
  await azurite.deleteBlob(ORIGIN_BUCKET, 'a.bin');

  cache.forgetMemory();
  for (const index of [0, 1]) {
    const warm = await http(edge(index), path('a.bin'));
    expect(sha256(warm.body)).toBe(sha256(BODY));
    expect(warm.headers['etag']).toBe(cold.headers['etag']);
  }
  expect(await cache.total('orca_served_bytes_total', { source: 'store' })).toBeGreaterThanOrEqual(BODY.length);
  expect((await originProxy.counts('GET')).requests).toBe(6);
  await cache.expectNothingHeld();
});

test('ranges, suffixes and If-Match are S3’s', async () => {
  const body = patternBytes(2 * MIB + 100, 9);
  await azurite.putBlob(ORIGIN_BUCKET, 'r.bin', body, { 'x-amz-meta-owner': 'me' });
  const whole = await http(edge(), path('r.bin'), { method: 'HEAD' });
  expect(whole.headers).toMatchObject({ 'content-length': String(body.length), 'x-amz-meta-owner': 'me' });
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    [`bytes=${MIB - 1}-${MIB}`, MIB - 1, MIB + 1],
    ['bytes=-7', body.length - 7, body.length],
    [`bytes=${body.length - 1}-`, body.length - 1, body.length],
  ] as const) {
    const answer = await http(edge(1), path('r.bin'), {
      headers: { range, 'if-match': String(whole.headers['etag']) },
    });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${from}-${to - 1}/${body.length}`);
    expect(answer.body.equals(body.subarray(from, to))).toBe(true);
  }
  const other = await http(edge(), path('r.bin'), { headers: { 'if-match': '"another"' } });
  expect(other.status).toBe(412);
  // Azure would say 400 to this one.
  const unchanged = await http(edge(), path('r.bin'), { headers: { 'if-none-match': '*' } });
  expect(unchanged.status).toBe(304);
  const part = await http(edge(), `${path('r.bin')}?partNumber=1`);
  expect(part.body.equals(body)).toBe(true);
});

test('a replaced blob is served in its new version, complete', async () => {
  const [before, after] = [patternBytes(MIB + 5, 1), patternBytes(MIB + 5, 2)];
  await azurite.putBlob(ORIGIN_BUCKET, 'changing', before);
  expect(sha256((await http(edge(), path('changing'))).body)).toBe(sha256(before));
  await cache.idle();
  await azurite.putBlob(ORIGIN_BUCKET, 'changing', after);
  const { headers } = await azurite.request({ method: 'HEAD', container: ORIGIN_BUCKET, blob: 'changing' });
  const etag = `"${String(headers['etag']).replaceAll('"', '')}-1"`;
  // An entry older than a second is revalidated before a 412.
  await expect
    .poll(async () => (await http(edge(), path('changing'), { headers: { 'if-match': etag } })).status)
    .toBe(200);
  expect(sha256((await http(edge(), path('changing'))).body)).toBe(sha256(after));
});

test('append and page blobs are 502 OriginUnsupported', async () => {
  for (const [type, size] of [
    ['AppendBlob', {}],
    ['PageBlob', { 'x-ms-blob-content-length': '512' }],
  ] as const) {
    const headers = { 'x-ms-blob-type': type, 'content-length': '0', ...size };
    await azurite.request({ method: 'PUT', container: ORIGIN_BUCKET, blob: type, headers });
    const answer = await http(edge(), path(type));
    expect(answer.status).toBe(502);
    expect(String(answer.body)).toContain('<Code>OriginUnsupported</Code>');
  }
});

test('the SDK lists all blobs in S3’s order, page by page over the replicas', async () => {
  const keys = ['l/a b+c', 'l/a-b', 'l/a/x', 'l/a/y', 'l/é', 'l/\uff5e', 'l/\u{1f433}'];
  for (const key of keys) await azurite.putBlob(ORIGIN_BUCKET, key, key);
  const client = new S3Client({
    endpoint: edge(),
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const listed: string[] = [];
  for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket: BUCKET, Prefix: 'l/' }))
    listed.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ''));
  expect(listed).toEqual(keys);
  const rolled: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: BUCKET, Prefix: 'l/', Delimiter: '/' }))
    rolled.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ''));
  expect(rolled).toEqual(['l/a/']);
  for (const key of keys) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(await Body?.transformToString()).toBe(key);
  }
  client.destroy();
});

test('a missing blob is NoSuchKey; no log line holds the key', async () => {
  const answer = await http(edge(), path('missing'));
  expect(answer.status).toBe(404);
  expect(String(answer.body)).toContain('<Code>NoSuchKey</Code>');
  expect(cache.all.flatMap(({ logLines }) => logLines).join('\n')).not.toContain(azurite.accountKey);
});
