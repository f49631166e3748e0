/** `versionId=…` as clients see it: status, headers and error documents. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const { origin, replicas } = openEngines();
let edge: TestEdge;
let first: string;
let marker: string;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine);
  origin.versions.set('far-models', 'Enabled');
  first = origin.put('far-models', 'object', 'one').headers['x-amz-version-id']!;
  origin.put('far-models', 'object', 'two!');
  origin.put('far-models', 'deleted', 'gone');
  marker = origin.remove('far-models', 'deleted') ?? '';
});
afterAll(() => edge[Symbol.asyncDispose]());

describe.for(['GET', 'HEAD'] as const)('%s', (method) => {
  const ask = (target: string) => http(edge.url, target, { method });
  const bodyOf = (text: string) => (method === 'HEAD' ? '' : text);

  test('returns the bytes of a version and its ID', async () => {
    const answer = await ask(`/models/object?versionId=${first}`);
    expect(answer).toMatchObject({ status: 200, headers: { 'x-amz-version-id': first, 'content-length': '3' } });
    expect(String(answer.body)).toBe(bodyOf('one'));
  });

  test('refuses an empty version ID', async () => {
    for (const query of ['versionId=', 'versionId']) {
      const answer = await ask(`/models/object?${query}`);
      expect(answer.status).toBe(400);
      if (method === 'GET')
        expect(String(answer.body)).toContain(
          '<Code>InvalidArgument</Code><Message>Version id cannot be the empty string</Message>',
        );
    }
  });

  test('answers NoSuchVersion for a null version that the object does not have', async () => {
    const answer = await ask('/models/object?versionId=null');
    expect(answer.status).toBe(404);
    if (method === 'GET') {
      expect(String(answer.body)).toContain('<Code>NoSuchVersion</Code>');
      expect(String(answer.body)).toContain('<VersionId>null</VersionId>');
    }
  });

  test.for(['nonsense', '%00', 'a%0D%0Ab', 'v'.repeat(1025)])('refuses the impossible version ID %s', async (id) => {
    const answer = await ask(`/models/object?versionId=${id}`);
    expect(answer.status).toBe(400);
    if (method === 'GET') {
      expect(String(answer.body)).toContain(
        '<Code>InvalidArgument</Code><Message>Invalid version id specified</Message>',
      );
      expect(String(answer.body)).toContain('<ArgumentName>versionId</ArgumentName>');
    }
  });

  test('answers 405 for a delete marker and 404 for the deleted object, both with its headers', async () => {
    const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker };
    const answer = await ask(`/models/deleted?versionId=${marker}`);
    expect(answer).toMatchObject({ status: 405, headers });
    if (method === 'GET')
      expect(String(answer.body)).toContain(
        '<Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message>',
      );
    expect(await ask('/models/deleted')).toMatchObject({ status: 404, headers });
  });

  test('refuses a version ID of a bucket', async () => {
    expect(await ask('/models?versionId=null')).toMatchObject({ status: 400 });
  });
});

test('a list of versions is the origin’s, under the prefix of the bucket rule', async () => {
  const answer = await http(edge.url, '/models?versions&prefix=obj');
  expect(answer.status).toBe(200);
  const ids = [...String(answer.body).matchAll(/<VersionId>(.*?)<.VersionId><IsLatest>(.*?)</g)].map((match) =>
    match.slice(1),
  );
  expect(ids).toEqual([
    [expect.any(String), 'true'],
    [first, 'false'],
  ]);
  expect(String((await http(edge.url, '/models?versions&max-keys=0')).body)).toContain(
    '<IsTruncated>false</IsTruncated>',
  );
});
