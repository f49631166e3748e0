/** The read API as clients use it: through the AWS SDK where it has a call; by raw requests where the text matters. */
import {
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';
import { OTHER_TEST_CERTIFICATE, TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';
import { createSigner } from '#cache/wire/s3/sigv4.ts';

const BODY = patternBytes(300_000, 3);

function sdkFor(endpoint: string, credentials = { accessKeyId: 'any', secretAccessKey: 'body' }): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 1 });
}

describe('anonymous', () => {
  const KEYS = ['a.bin', 'dir/one', 'dir/sub/three', 'dir/two', 'with space+plus', 'é/\u{1f433}'];
  let cache: Replicas;
  let sdk: S3Client;
  const edge = (): string => cache.all[0]!.edge;

  beforeAll(async () => {
    cache = await startReplicas({
      replicas: 2,
      changes: {
        'edge.virtualHostDomains': ['s3.cache.test'],
        'edge.corsOrigins': ['https://app.example'],
        'origin.buckets': [
          { name: BUCKET, originBucket: ORIGIN_BUCKET },
          { name: 'part-of-it', originBucket: ORIGIN_BUCKET, prefix: 'dir/' },
        ],
      },
    });
    for (const key of KEYS) await cache.put(key, key === 'a.bin' ? BODY : Buffer.from(key));
    sdk = sdkFor(edge());
  });
  afterAll(async () => {
    sdk.destroy();
    await cache[Symbol.asyncDispose]();
  });

  test('lists are the origin’s, page by page, whichever replica serves the next page', async () => {
    const other = sdkFor(cache.all[1]!.edge);
    const names: string[] = [];
    let token: string | undefined;
    do {
      const client: S3Client = names.length % 2 === 0 ? sdk : other;
      const page = await client.send(
        new ListObjectsV2Command({ Bucket: BUCKET, MaxKeys: 1, Delimiter: '/', ContinuationToken: token }),
      );
      names.push(
        ...(page.Contents ?? []).map(({ Key = '' }) => Key),
        ...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
      );
      token = page.NextContinuationToken;
    } while (token !== undefined);
    expect(names).toEqual(['a.bin', 'dir/', 'with space+plus', 'é/']);
    other.destroy();

    const all: string[] = [];
    for await (const page of paginateListObjectsV2({ client: sdk, pageSize: 2 }, { Bucket: BUCKET }))
      all.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    expect(all).toEqual(KEYS);
    const v1 = await sdk.send(new ListObjectsCommand({ Bucket: BUCKET, Marker: 'dir/one', MaxKeys: 2 }));
    expect(v1.Contents?.map(({ Key }) => Key)).toEqual(['dir/sub/three', 'dir/two']);
  });

  test('a list agrees with HEAD', async () => {
    const { Contents = [] } = await sdk.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    const head = await sdk.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'a.bin' }));
    expect(Contents[0]).toMatchObject({ ETag: head.ETag, Size: head.ContentLength, LastModified: head.LastModified });
  });

  test('a bucket that is a part of the origin’s shows that part, under its own names', async () => {
    const { Contents = [], CommonPrefixes = [] } = await sdk.send(
      new ListObjectsV2Command({ Bucket: 'part-of-it', Delimiter: '/', StartAfter: 'a' }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual(['one', 'two']);
    expect(CommonPrefixes.map(({ Prefix }) => Prefix)).toEqual(['sub/']);
    const got = await sdk.send(new GetObjectCommand({ Bucket: 'part-of-it', Key: 'one' }));
    expect(await got.Body?.transformToString()).toBe('dir/one');
  });

  test('equal lists within the TTL are one question to the origin', async () => {
    const listed = () => cache.all[0]!.metric('orca_origin_requests_total', { operation: 'list' });
    const before = await listed();
    const ask = () => http(edge(), `/${BUCKET}?list-type=2&prefix=coalesced`);
    const answers = await Promise.all(Array.from({ length: 10 }, ask));
    for (const { status } of [...answers, await ask()]) expect(status).toBe(200);
    expect((await listed()) - before).toBe(1);
    await http(edge(), `/${BUCKET}?list-type=2&max-keys=0`);
    expect((await listed()) - before).toBe(1);
  });

  test('buckets, their place and whether they are there', async () => {
    const { Buckets = [] } = await sdk.send(new ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).toEqual([BUCKET, 'part-of-it']);
    expect((await http(edge(), '/')).status).toBe(403);
    await sdk.send(new HeadBucketCommand({ Bucket: BUCKET }));
    const missing = await http(edge(), '/no-such-bucket', { method: 'HEAD' });
    expect([missing.status, missing.headers['x-amz-bucket-region']]).toEqual([404, 'us-east-1']);
    expect((await sdk.send(new GetBucketLocationCommand({ Bucket: BUCKET }))).LocationConstraint).toBeUndefined();
    expect((await http(edge(), '/no-such-bucket?list-type=2')).body.toString()).toContain('<Code>NoSuchBucket</Code>');
  });

  test.for([
    [`/${BUCKET}?versioning`, 200, '<VersioningConfiguration'],
    [`/${BUCKET}?acl`, 501, 'NotImplemented'],
    [`/${BUCKET}?policy`, 501, 'NotImplemented'],
    [`/${BUCKET}?cors`, 404, 'NoSuchCORSConfiguration'],
    [`/${BUCKET}?uploads`, 501, 'NotImplemented'],
    [`/${BUCKET}?tagging`, 404, 'NoSuchTagSet'],
    [`/${BUCKET}?inventory&id=1`, 501, 'NotImplemented'],
    [`/${BUCKET}/a.bin?tagging`, 200, '<TagSet></TagSet>'],
    [`/${BUCKET}/a.bin?acl`, 501, 'NotImplemented'],
    [`/${BUCKET}/nothing?tagging`, 404, 'NoSuchKey'],
    [`/${BUCKET}/a.bin?attributes`, 400, 'InvalidRequest'],
    [`/${BUCKET}/a.bin?versionId=abc`, 400, 'InvalidArgument'],
    ['/no-such-bucket?versioning', 404, 'NoSuchBucket'],
    [`/${BUCKET}?list-type=2&continuation-token=nonsense`, 400, 'The continuation token provided is incorrect'],
    [`/${BUCKET}?list-type=2&max-keys=x`, 400, '<ArgumentName>max-keys</ArgumentName>'],
    [`/${BUCKET}/${'k'.repeat(1025)}`, 400, 'KeyTooLongError'],
  ] as const)('%s is %i with %s', async ([target, status, text]) => {
    const answer = await http(edge(), target);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/xml']);
    expect(answer.body.toString()).toContain(text);
    if (status >= 400)
      expect(answer.body.toString()).toContain(`<RequestId>${String(answer.headers['x-amz-request-id'])}</RequestId>`);
  });

  test('unknown query parameters do not matter', async () => {
    for (const query of ['x-id=GetObject', 'foo=bar'])
      expect((await http(edge(), `/${BUCKET}/a.bin?${query}`)).body.equals(BODY)).toBe(true);
  });

  test('writes are refused, and Allow lists the methods', async () => {
    for (const [method, target, type] of [
      ['PUT', `/${BUCKET}/a.bin`, 'OBJECT'],
      ['DELETE', `/${BUCKET}/a.bin`, 'OBJECT'],
      ['POST', `/${BUCKET}?delete`, 'BUCKET'],
      ['PUT', `/${BUCKET}`, 'BUCKET'],
    ] as const) {
      const answer = await http(edge(), target, { method });
      expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD']);
      expect(answer.body.toString()).toContain(`<ResourceType>${type}</ResourceType>`);
    }
  });

  test('a client that sends Expect: 100-continue gets no 100', async () => {
    const answer = await http(edge(), `/${BUCKET}/a.bin`, {
      method: 'PUT',
      headers: { expect: '100-continue', 'content-length': '1000000' },
    });
    expect([answer.status, answer.headers['connection']]).toEqual([405, 'close']);
  });

  test('the bucket may be in the host name', async () => {
    const byHost = (host: string, target: string) => http(edge(), target, { headers: { host } });
    expect((await byHost(`${BUCKET}.s3.cache.test:8443`, '/a.bin')).body.equals(BODY)).toBe(true);
    expect((await byHost(`${BUCKET}.S3.Cache.Test`, '/?list-type=2')).body.toString()).toContain('<Key>a.bin</Key>');
    expect((await byHost('s3.cache.test', `/${BUCKET}/a.bin`)).body.equals(BODY)).toBe(true);
    expect((await byHost('nobody.s3.cache.test', '/a.bin')).status).toBe(404);
    const absolute = await http(edge(), `http://${BUCKET}.s3.cache.test/a.bin`, { headers: { host: 'else.example' } });
    expect(absolute.body.equals(BODY)).toBe(true);
  });

  test('a browser’s script of a configured origin may read', async () => {
    const preflight = (origin: string, method = 'GET') =>
      http(edge(), `/${BUCKET}/a.bin`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': 'range, if-match',
        },
      });
    const allowed = await preflight('https://app.example');
    expect([allowed.status, allowed.headers['access-control-allow-headers']]).toEqual([200, 'range, if-match']);
    expect((await preflight('https://evil.example')).body.toString()).toContain('AccessForbidden');
    expect((await preflight('https://app.example', 'PUT')).status).toBe(403);
    expect((await http(edge(), `/${BUCKET}/a.bin`, { method: 'OPTIONS' })).status).toBe(400);
    const read = (origin: string) => http(edge(), `/${BUCKET}/a.bin`, { headers: { origin } });
    const good = (await read('https://app.example')).headers;
    expect(good['access-control-allow-origin']).toBe('https://app.example');
    expect(good['access-control-expose-headers']).toContain('ETag');
    expect((await read('https://evil.example')).headers).not.toHaveProperty('access-control-allow-origin');
    expect((await read('https://evil.example')).headers['vary']).toBe('Origin');
  });

  test('overrides of response headers are for those who sign', async () => {
    const got = await sdk.send(
      new GetObjectCommand({
        Bucket: BUCKET,
        Key: 'a.bin',
        ResponseContentType: 'text/x',
        ResponseContentDisposition: 'attachment',
      }),
    );
    expect([got.ContentType, got.ContentDisposition]).toEqual(['text/x', 'attachment']);
    await got.Body?.transformToByteArray();
    const anonymous = await http(edge(), `/${BUCKET}/a.bin?response-content-type=text/x`);
    expect([anonymous.status, anonymous.body.toString().includes('anonymous GET requests')]).toEqual([400, true]);
    const plain = await http(edge(), `/${BUCKET}/a.bin`);
    expect(plain.headers['content-type']).not.toBe('text/x');
  });

  test('the only part of an object is all of it', async () => {
    const part = (query: string, headers = {}) => http(edge(), `/${BUCKET}/a.bin?${query}`, { headers });
    const first = await part('partNumber=1');
    expect([first.status, first.headers['content-range'], first.body.equals(BODY)]).toEqual([
      206,
      'bytes 0-299999/300000',
      true,
    ]);
    expect((await part('partNumber=2')).body.toString()).toContain('InvalidPartNumber');
    for (const bad of ['partNumber=0', 'partNumber=10001', 'partNumber=x']) expect((await part(bad)).status).toBe(400);
    expect((await part('partNumber=1', { range: 'bytes=0-1' })).status).toBe(400);
  });

  test('checksums are sent for whole objects, on request, and never for a range', async () => {
    const checksum = 'x-amz-checksum-crc32';
    await cache.origin.putObject(ORIGIN_BUCKET, 'summed', Buffer.from('123456789'), { [checksum]: 'y/Q5Jg==' });
    const ask = async (headers: Record<string, string>) =>
      (await http(edge(), `/${BUCKET}/summed`, { headers })).headers[checksum];
    expect(await ask({ 'x-amz-checksum-mode': 'ENABLED' })).toBe('y/Q5Jg==');
    expect(await ask({})).toBeUndefined();
    expect(await ask({ 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-3' })).toBeUndefined();
    const got = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'summed', ChecksumMode: 'ENABLED' }));
    expect(await got.Body?.transformToString()).toBe('123456789');
  });
});

describe('with keys', () => {
  const ALICE = { accessKeyId: 'ALICE', secretAccessKey: 'alice-secret-alice' };
  const BOB = { accessKeyId: 'BOB', secretAccessKey: 'bob-secret-bob-bob' };
  const KEYS = JSON.stringify([ALICE, { ...BOB, buckets: [{ name: BUCKET, prefix: 'bob/' }] }]);
  let directory: string;
  let cache: Replicas;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orca-edge-keys-'));
    await writeFile(join(directory, 'keys.yaml'), KEYS);
    cache = await startReplicas({ changes: { 'edge.auth': { type: 'SigV4', directory } } });
    for (const key of ['bob/his', 'alice/hers']) await cache.put(key, Buffer.from(key));
  });
  afterAll(async () => {
    await cache[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const edge = (): string => cache.all[0]!.edge;
  const asked = async <T>(who: typeof ALICE, call: (sdk: S3Client) => Promise<T>): Promise<T | string> => {
    const sdk = sdkFor(edge(), who);
    try {
      return await call(sdk);
    } catch (error) {
      return (error as Error).name;
    } finally {
      sdk.destroy();
    }
  };
  const get = (who: typeof ALICE, key: string) =>
    asked(who, async (sdk) =>
      (await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))).Body?.transformToString(),
    );

  test('a signed client reads what its key may, and learns nothing about other buckets', async () => {
    expect(await get(ALICE, 'alice/hers')).toBe('alice/hers');
    expect(await get(BOB, 'bob/his')).toBe('bob/his');
    expect(await get(BOB, 'alice/hers')).toBe('AccessDenied');
    expect(await get(BOB, 'alice/nothing')).toBe('AccessDenied');
    expect(await get(ALICE, 'alice/nothing')).toBe('NoSuchKey');
    const list = (who: typeof ALICE, prefix: string, bucket = BUCKET) =>
      asked(
        who,
        async (sdk) => (await sdk.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))).KeyCount,
      );
    expect([
      await list(ALICE, ''),
      await list(BOB, 'bob/'),
      await list(BOB, ''),
      await list(BOB, '', 'no-such-bucket'),
    ]).toEqual([2, 1, 'AccessDenied', 'AccessDenied']);
    expect(await list(ALICE, '', 'no-such-bucket')).toBe('NoSuchBucket');
  });

  test('an unsigned client, or one with another secret, reads nothing', async () => {
    expect((await http(edge(), `/${BUCKET}/bob/his`)).body.toString()).toContain('<Code>AccessDenied</Code>');
    expect((await http(edge(), '/')).status).toBe(403);
    expect(await get({ ...ALICE, secretAccessKey: BOB.secretAccessKey }, 'alice/hers')).toBe('SignatureDoesNotMatch');
    expect(await get({ ...ALICE, accessKeyId: 'CAROL' }, 'alice/hers')).toBe('InvalidAccessKeyId');
    const head = await http(edge(), `/${BUCKET}/bob/his`, { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([403, 0]);
  });

  test('new keys are loaded at run time, and a broken file removes none', async () => {
    const path = join(directory, 'keys.yaml');
    const carol = { accessKeyId: 'CAROL', secretAccessKey: 'carol-secret-carol' };
    await writeFile(path, JSON.stringify([carol]));
    await expect.poll(() => get(carol, 'bob/his'), { timeout: 30_000, interval: 500 }).toBe('bob/his');
    expect(await get(ALICE, 'bob/his')).toBe('InvalidAccessKeyId');
    await writeFile(path, '[{accessKeyId: "x", secretAccessKey: "never-to-be-seen"');
    await expect
      .poll(() => cache.all[0]!.logLines.join(''), { timeout: 30_000, interval: 500 })
      .toContain('edge keys: invalid');
    expect(await get(carol, 'bob/his')).toBe('bob/his');
    const said = cache.all[0]!.logLines.join('');
    for (const secret of [carol, ALICE, BOB].map(({ secretAccessKey }) => secretAccessKey))
      expect(said).not.toContain(secret);
    expect(said).not.toContain('never-to-be-seen');
  });
});

test('clients with the bearer token read, and no others', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-edge-tokens-'));
  await writeFile(
    join(directory, 'keys.yaml'),
    JSON.stringify([{ token: 'a-token-of-some-length', buckets: [{ name: BUCKET }] }]),
  );
  await using cache = await startReplicas({ changes: { 'edge.auth': { type: 'Bearer', directory } } });
  await cache.put('a', Buffer.from('a'));
  const read = (authorization?: string) =>
    http(cache.all[0]!.edge, `/${BUCKET}/a`, { headers: authorization === undefined ? {} : { authorization } });
  expect((await read('Bearer a-token-of-some-length')).status).toBe(200);
  for (const wrong of [
    undefined,
    'Bearer',
    'Bearer a-token-of-some-lengti',
    'Basic a-token-of-some-length',
    'Bearer a-token-of-some-length x',
  ])
    expect((await read(wrong)).status).toBe(403);
  await rm(directory, { recursive: true, force: true });
});

describe('TLS', () => {
  test('serves, refuses old versions, and takes a new certificate up without breaking a stream', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'orca-edge-tls-'));
    await writeFile(join(directory, 'tls.crt'), TEST_CERTIFICATE);
    await writeFile(join(directory, 'tls.key'), TEST_KEY);
    await using cache = await startReplicas({ changes: { 'edge.tls': { directory } } });
    await cache.put('a', BODY);
    const { hostname, port } = new URL(cache.all[0]!.edge);
    const target = { host: hostname, port: Number(port), servername: 'localhost', ca: TEST_CA };
    const serial = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = tlsConnect({ ...target, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once('error', reject);
      });
    const before = await serial();
    await expect(
      new Promise((resolve, reject) => {
        const socket = tlsConnect(
          { ...target, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
          () => {
            socket.destroy();
            resolve('accepted');
          },
        );
        socket.once('error', reject);
      }),
    ).rejects.toThrow(/alert|version|protocol/);

    // One that does not read until the certificate is another.
    const open = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpsRequest({ ...target, path: `/${BUCKET}/a`, agent: false }, resolve);
      request.once('error', reject);
      request.end();
    });
    await writeFile(join(directory, 'tls.crt'), OTHER_TEST_CERTIFICATE);
    await expect.poll(serial, { timeout: 30_000, interval: 500 }).not.toBe(before);
    const pieces: Buffer[] = [];
    for await (const piece of open) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).equals(BODY)).toBe(true);
    await rm(directory, { recursive: true, force: true });
  });
});

test('a signed request that was tampered with is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orca-edge-signed-'));
  const credentials = { accessKeyId: 'ALICE', secretAccessKey: 'alice-secret-alice' };
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([credentials]));
  await using cache = await startReplicas({ changes: { 'edge.auth': { type: 'SigV4', directory } } });
  await cache.put('a (1)', Buffer.from('0123456789'));
  const edge = cache.all[0]!.edge;
  const signed = createSigner('anywhere').sign({
    method: 'GET',
    path: `/${BUCKET}/a%20%281%29`,
    headers: { host: new URL(edge).host, range: 'bytes=0-3' },
    credentials,
    nowMs: Date.now(),
  });
  // Less encoded than it was signed, as some clients send it.
  const good = await http(edge, `/${BUCKET}/a%20(1)`, { headers: signed });
  expect([good.status, good.body.toString()]).toEqual([206, '0123']);
  for (const headers of [
    { ...signed, range: 'bytes=0-9' },
    { ...signed, 'x-amz-extra': 'x' },
  ])
    expect((await http(edge, `/${BUCKET}/a%20(1)`, { headers })).status).toBe(403);
  await rm(directory, { recursive: true, force: true });
});
