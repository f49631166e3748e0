/** An allow-list with patterns, as clients see it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const rule = (name: string, more: Partial<BucketRule> = {}): BucketRule => ({
  name,
  originBucket: name,
  prefix: '',
  metadataTtlMs: 300_000,
  immutable: false,
  ...more,
});
const BUCKETS = [
  rule('team-*'),
  rule('lab-*', { originBucket: 'acme-lab-*' }),
  rule('team-blue', { prefix: 'shared/' }),
  rule('models'),
];
/** Signed requests may list buckets; the signature is not verified. */
const SIGNED = { authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request' };

const { origin, replicas } = openEngines({ buckets: BUCKETS });
let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine, { buckets: BUCKETS });
  for (const bucket of ['team-red', 'team-blue', 'acme-lab-one', 'lab-one', 'other', 'models'])
    for (const key of ['a', 'shared/a']) origin.put(bucket, key, `${bucket}/${key}`);
});
afterAll(() => edge[Symbol.asyncDispose]());

const get = async (path: string) => {
  const { status, body } = await http(edge.url, path);
  return status === 200 ? String(body) : status;
};

test.for([
  ['/team-red/a', 'team-red/a'],
  ['/team-blue/a', 'team-blue/shared/a'],
  ['/lab-one/a', 'acme-lab-one/a'],
  ['/models/a', 'models/a'],
  ['/other/a', 404],
  ['/acme-lab-one/a', 404],
  ['/team-green/a', 404],
  ['/team-%2Fother/a', 404],
  ['/team-..%2fother/a', 404],
  ['/team-*/a', 404],
] as const)('GET %s is %s', async ([path, answer]) => {
  expect(await get(path)).toBe(answer);
});

test('a list under a pattern is that of the origin’s bucket', async () => {
  expect(String((await http(edge.url, '/lab-one?list-type=2')).body)).toContain('<Key>a</Key>');
  expect((await http(edge.url, '/lab-none?list-type=2')).status).toBe(404);
});

const names = (body: Buffer) => [...String(body).matchAll(/<Name>(.*?)<.Name>/g)].map(([, name]) => name);

test('the list of buckets has the configured ones, and those of the origin under the patterns', async () => {
  const answer = await http(edge.url, '/', { headers: SIGNED });
  expect(names(answer.body)).toEqual(['lab-one', 'models', 'team-blue', 'team-red']);
  const page = await http(edge.url, '/?max-buckets=2', { headers: SIGNED });
  expect(names(page.body)).toEqual(['lab-one', 'models']);
});

test('without the permission to list the origin’s buckets the list fails: it would not be complete', async () => {
  origin.inject({ on: 'list', key: 'team-', what: new OrcaError('access_denied', 'denied', { status: 403 }) });
  expect((await http(edge.url, '/', { headers: SIGNED })).status).toBe(403);
});
