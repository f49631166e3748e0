/** Keys that normalization would change: each reaches the origin byte for byte, with a signature over these bytes. */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { BUCKET, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';
import {
  reply,
  startScriptedServer,
  type CapturedRequest,
  type ScriptedServer,
} from '#test/support/scripted-server.ts';

/** S3's rule for a path: unreserved characters and `/` are unchanged, all others are percent-encoded by UTF-8 byte. */
function encoded(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9._~/-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

const KEYS = [
  'with spaces  in it.txt',
  'parentheses (1) [2] {3}.txt',
  'plus+and&and=and;.txt',
  'percent%41%2F%25%zz.txt',
  'accents-éàüñ.txt',
  'decomposed-e\u0301.txt',
  'unicode-模型-🦀.bin',
  'quotes\'"`.txt',
  'question?mark#hash.txt',
  'star*bang!at@colon:comma,.txt',
  'back\\slash|pipe^tilde~.txt',
  'folder/inside/another.txt',
  'k'.repeat(255),
  Array.from({ length: 5 }, () => 'd'.repeat(200)).join('/') + '/' + 'e'.repeat(18),
];
/** Keys that an S3 server on a file system cannot store. */
const KEYS_OF_OBJECT_STORES = [
  'double//slash',
  '//two-in-front',
  '/one-in-front',
  'trailing/',
  './dot',
  'a/./b',
  'a/../b',
  'a/..',
  '...',
  'control-\u0001\u007f',
  'é'.repeat(512),
  'x'.repeat(1024),
];

describe('against versitygw', () => {
  let cache: Replicas;
  let sdk: S3Client;

  beforeAll(async () => {
    cache = await startReplicas({ replicas: 3 });
    sdk = new S3Client({
      endpoint: cache.all[0]!.edge,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
  });
  afterAll(async () => {
    sdk.destroy();
    await cache[Symbol.asyncDispose]();
  });

  test.for(KEYS.map((key, index) => ({ name: key.slice(0, 40), key, index })))('$name', async ({ key, index }) => {
    const body = patternBytes(1_000 + index, index);
    await cache.put(key, body);
    for (const replica of cache.all) {
      const read = await http(replica.edge, `/${BUCKET}/${encoded(key)}`);
      expect(read.status).toBe(200);
      expect(read.body.equals(body)).toBe(true);
    }
    const bySdk = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(body.equals(await bySdk.Body!.transformToByteArray())).toBe(true);
    expect((await cache.originProxy.counts('GET')).requests).toBe(index + 1);
  });
});

describe('against an origin that captures what it is sent', () => {
  const BODY = Buffer.from('the object');
  let origin: ScriptedServer;
  let cache: Replicas;

  beforeAll(async () => {
    origin = await startScriptedServer((request, answer) => {
      const headers = { etag: '"0123456789abcdef"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
      if (request.method === 'HEAD')
        answer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\netag: ${headers.etag}\r\n\r\n`);
      else
        answer.write(reply('206 Partial Content', { ...headers, 'content-range': `bytes 0-9/${BODY.length}` }, BODY));
    });
    cache = await startReplicas({ originEndpoint: origin.endpoint });
  });
  afterAll(async () => {
    await cache[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  test.for([...KEYS, ...KEYS_OF_OBJECT_STORES].map((key) => ({ name: JSON.stringify(key.slice(0, 40)), key })))(
    '$name',
    async ({ key }) => {
      const from = origin.requests.length;
      const read = await http(cache.all[0]!.edge, `/${BUCKET}/${encoded(key)}`);
      expect(read.status).toBe(200);
      expect(read.body.equals(BODY)).toBe(true);
      const requests = origin.requests.slice(from);
      expect(requests.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
      for (const request of requests) {
        expect(request.target).toBe(`/${ORIGIN_BUCKET}/${encoded(key)}`);
        expect(request.headers['authorization']).toBe(signatureOf(request, cache));
      }
    },
  );

  test('unencoded characters of a lenient client mean the same key', async () => {
    const from = origin.requests.length;
    await http(cache.all[0]!.edge, `/${BUCKET}/lenient(1)!~*'+=@:,;&$[]{}|^.txt`);
    expect(origin.requests[from]?.target).toBe(`/${ORIGIN_BUCKET}/${encoded("lenient(1)!~*'+=@:,;&$[]{}|^.txt")}`);
  });

  test('a key of 1025 bytes, one that is not UTF-8 and one that escapes the bucket never reach the origin', async () => {
    const from = origin.requests.length;
    for (const target of ['x'.repeat(1025), '%ff%fe', '%C3%28', '%zz', '../dot-dot', 'a/%2e%2e/%2E./x']) {
      const read = await http(cache.all[0]!.edge, `/${BUCKET}/${target}`);
      expect(read.status).toBe(400);
    }
    expect(origin.requests).toHaveLength(from);
  });
});

/** Signature Version 4 as AWS documents it, over the request as received. */
function signatureOf(request: CapturedRequest, cache: Replicas): string {
  const given = request.headers['authorization'] ?? '';
  const names = /SignedHeaders=([^,]+)/.exec(given)?.[1] ?? '';
  const date = request.headers['x-amz-date'] ?? '';
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const canonical = [
    request.method,
    request.target,
    '',
    ...names.split(';').map((name) => `${name}:${request.headers[name] ?? ''}`),
    '',
    names,
    request.headers['x-amz-content-sha256'] ?? '',
  ].join('\n');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const key = [date.slice(0, 8), 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(
    (last, part) => hmac(last, part),
    `AWS4${cache.origin.secretAccessKey}`,
  );
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
  const signature = hmac(key, text).toString('hex');
  expect(names.split(';')).toEqual(expect.arrayContaining(['host', 'x-amz-date', 'x-amz-content-sha256']));
  return `AWS4-HMAC-SHA256 Credential=${cache.origin.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
}
