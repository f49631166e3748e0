/** Sub-resources as clients see them: access, documents and errors. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKeyRing } from '#cache/core/s3/key-ring.ts';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const { origin, replicas } = openEngines();
const keys = openKeyRing([
  { label: 'whole', token: 'whole' },
  { label: 'part', token: 'part', grants: [{ name: 'models', prefix: 'dir/' }] },
]);
let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine, { auth: { type: 'Bearer', keys: () => keys } });
  origin.put('far-models', 'dir/object', 'body');
  const document = '<LifecycleConfiguration/>';
  origin.documents.set('far-models/?lifecycle', { document });
  origin.documents.set('far-models/?encryption', { document: '<ServerSideEncryptionConfiguration/>' });
  origin.documents.set('far-models/dir/object?tagging', { document: '<Tagging/>' });
  origin.documents.set('far-models/?cors', { status: 404, code: 'NoSuchCORSConfiguration', message: 'none' });
});
afterAll(() => edge[Symbol.asyncDispose]());

const ask = (target: string, token = 'whole') =>
  http(edge.url, target, { headers: { authorization: `Bearer ${token}` } });

test('a document that names keys needs access to the whole bucket', async () => {
  expect((await ask('/models?lifecycle')).status).toBe(200);
  expect((await ask('/models?lifecycle', 'part')).status).toBe(403);
  expect((await ask('/models?encryption', 'part')).status).toBe(200);
});

test('a document of an object needs access to the object', async () => {
  expect((await ask('/models/dir/object?tagging', 'part')).status).toBe(200);
  expect((await ask('/models/other?tagging', 'part')).status).toBe(403);
});

test('a document that does not exist is the origin’s error, with the names of the client', async () => {
  const { status, body } = await ask('/models?cors');
  expect(status).toBe(404);
  expect(body.toString()).toContain('<Code>NoSuchCORSConfiguration</Code><Message>none</Message>');
  expect(body.toString()).toContain('<BucketName>models</BucketName>');
});

test('anything else is refused, also a name of Object’s prototype', async () => {
  for (const target of ['/models?policy', '/models/dir/object?acl', '/models?tagging', '/models?uploads'])
    expect((await ask(target)).status).toBe(501);
  expect((await ask('/models/dir/object?constructor')).body.toString()).toBe('body');
});
