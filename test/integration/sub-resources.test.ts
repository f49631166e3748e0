/** Sub-resources through the cache are those of the origin, where it has a value and where it has none. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { BUCKET, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';

const TAGGING = '<Tagging><TagSet><Tag><Key>class</Key><Value>top-secret</Value></Tag></TagSet></Tagging>';
const LOCKED = 'locked';
const SET: readonly (readonly [bucket: string, key: string, name: string, body: string])[] = [
  [ORIGIN_BUCKET, 'tagged', 'tagging', TAGGING],
  [ORIGIN_BUCKET, '', 'tagging', TAGGING],
  [
    ORIGIN_BUCKET,
    '',
    'cors',
    '<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>',
  ],
  [
    ORIGIN_BUCKET,
    '',
    'ownershipControls',
    '<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>',
  ],
  [LOCKED, 'held', 'legal-hold', '<LegalHold><Status>ON</Status></LegalHold>'],
  [
    LOCKED,
    'held',
    'retention',
    '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2094-01-02T03:04:05Z</RetainUntilDate></Retention>',
  ],
  [
    LOCKED,
    '',
    'object-lock',
    '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>',
  ],
];

let cache: Replicas;

beforeAll(async () => {
  cache = await startReplicas({
    changes: {
      'origin.buckets': [
        { name: BUCKET, originBucket: ORIGIN_BUCKET },
        { name: LOCKED, originBucket: LOCKED },
        { name: 'part-of-it', originBucket: ORIGIN_BUCKET, prefix: 'dir/' },
      ],
    },
  });
  const { origin } = cache;
  await origin.request('PUT', LOCKED, '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
  for (const [bucket, key] of [
    [ORIGIN_BUCKET, 'tagged'],
    [ORIGIN_BUCKET, 'plain'],
    [ORIGIN_BUCKET, 'dir/one'],
    [LOCKED, 'held'],
    [LOCKED, 'plain'],
  ] as const)
    await origin.putObject(bucket, key, 'body');
  for (const [bucket, key, name, body] of SET) {
    const answer = await origin.request('PUT', bucket, key, {
      query: [[name, '']],
      headers: { 'content-md5': createHash('md5').update(body).digest('base64') },
      body,
    });
    if (answer.status >= 300) throw new Error(`PUT ?${name}: ${String(answer.body)}`);
  }
});
afterAll(() => cache[Symbol.asyncDispose]());

const clientsName = (bucket: string) => (bucket === ORIGIN_BUCKET ? BUCKET : bucket);
const through = (bucket: string, key: string, name: string) =>
  http(cache.all[0]!.edge, `/${clientsName(bucket)}${key === '' ? '' : `/${key}`}?${name}`);
const code = (document: string) => /<Code>(\w+)<\/Code>/.exec(document)?.[1];

test.for(SET)('%s/%s?%s is what was set at the origin', async ([bucket, key, name]) => {
  const direct = await cache.origin.request('GET', bucket, key, { query: [[name, '']] });
  const answer = await through(bucket, key, name);
  expect([answer.status, answer.body.toString()]).toEqual([200, direct.body.toString()]);
});

test.for([
  [ORIGIN_BUCKET, 'plain', 'tagging'],
  [ORIGIN_BUCKET, 'missing', 'tagging'],
  [ORIGIN_BUCKET, 'plain', 'legal-hold'],
  [ORIGIN_BUCKET, 'plain', 'retention'],
  [LOCKED, 'plain', 'legal-hold'],
  [LOCKED, 'plain', 'retention'],
  [LOCKED, '', 'tagging'],
  [LOCKED, '', 'cors'],
  [ORIGIN_BUCKET, '', 'object-lock'],
  [ORIGIN_BUCKET, '', 'accelerate'],
  [ORIGIN_BUCKET, '', 'encryption'],
  [ORIGIN_BUCKET, '', 'lifecycle'],
  [ORIGIN_BUCKET, '', 'publicAccessBlock'],
  [ORIGIN_BUCKET, '', 'requestPayment'],
  [ORIGIN_BUCKET, '', 'website'],
] as const)('%s/%s?%s has the status and the code of the origin', async ([bucket, key, name]) => {
  const direct = await cache.origin.request('GET', bucket, key, { query: [[name, '']] });
  const answer = await through(bucket, key, name);
  expect([answer.status, code(answer.body.toString())]).toEqual([direct.status, code(direct.body.toString())]);
});

describe('refused, because the cache may know more than its clients', () => {
  test.for(['acl', 'policy', 'policyStatus', 'logging', 'notification', 'replication', 'uploads', 'inventory'])(
    '?%s of a bucket',
    async (name) => {
      expect(code((await through(ORIGIN_BUCKET, '', name)).body.toString())).toBe('NotImplemented');
    },
  );

  test('?acl of an object', async () => {
    expect((await through(ORIGIN_BUCKET, 'plain', 'acl')).status).toBe(501);
  });

  test('a document that names keys, of a bucket that is a part of the origin’s', async () => {
    for (const name of ['lifecycle', 'website'])
      expect((await http(cache.all[0]!.edge, `/part-of-it?${name}`)).status).toBe(501);
    expect((await http(cache.all[0]!.edge, '/part-of-it/one?tagging')).status).toBe(200);
  });
});

test('HEAD is GET without the document', async () => {
  const { edge } = cache.all[0]!;
  const got = await http(edge, `/${BUCKET}/tagged?tagging`);
  const head = await http(edge, `/${BUCKET}/tagged?tagging`, { method: 'HEAD' });
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, String(got.body.length), 0]);
});

test('?attributes is what HEAD reports', async () => {
  const { edge } = cache.all[0]!;
  const all = 'ETag,Checksum,ObjectParts,StorageClass,ObjectSize';
  const ask = (attributes: string | undefined) =>
    http(edge, `/${BUCKET}/plain?attributes`, {
      headers: attributes === undefined ? {} : { 'x-amz-object-attributes': attributes },
    });
  const { headers } = await http(edge, `/${BUCKET}/plain`, { method: 'HEAD' });
  const { status, body } = await ask(all);
  expect(status).toBe(200);
  expect(body.toString()).toContain(`<ETag>${String(headers.etag).replaceAll('"', '')}</ETag>`);
  expect(body.toString()).toContain('<StorageClass>STANDARD</StorageClass><ObjectSize>4</ObjectSize>');
  expect((await ask('ObjectSize')).body.toString()).not.toContain('ETag');
  for (const [attributes, expected] of [
    [undefined, 'InvalidRequest'],
    ['Nonsense', 'InvalidArgument'],
  ] as const) {
    const refused = await ask(attributes);
    const direct = await cache.origin.request('GET', ORIGIN_BUCKET, 'plain', {
      query: [['attributes', '']],
      headers: attributes === undefined ? {} : { 'x-amz-object-attributes': attributes },
    });
    expect([refused.status, code(refused.body.toString())]).toEqual([400, expected]);
    expect([direct.status, code(direct.body.toString())]).toEqual([400, expected]);
  }
});
