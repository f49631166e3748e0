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

  test('of a version has its bytes and its ID', async () => {
    const answer = await ask(`/models/object?versionId=${first}`);
    expect(answer).toMatchObject({ status: 200, headers: { 'x-amz-version-id': first, 'content-length': '3' } });
    expect(String(answer.body)).toBe(bodyOf('one'));
  });

  test('of an empty version ID is refused', async () => {
    for (const query of ['versionId=', 'versionId']) {
      const answer = await ask(`/models/object?${query}`);
      expect(answer.status).toBe(400);
      if (method === 'GET')
        expect(String(answer.body)).toContain(
          '<Code>InvalidArgument</Code><Message>Version id cannot be the empty string</Message>',
        );
    }
  });

  test('of the null version that the object does not have is NoSuchVersion', async () => {
    const answer = await ask('/models/object?versionId=null');
    expect(answer.status).toBe(404);
    if (method === 'GET') {
      expect(String(answer.body)).toContain('<Code>NoSuchVersion</Code>');
      expect(String(answer.body)).toContain('<VersionId>null</VersionId>');
    }
  });

  test.for(['nonsense', '%00', 'a%0D%0Ab', 'v'.repeat(1025)])(
    'of the impossible version ID %s is refused',
    async (id) => {
      const answer = await ask(`/models/object?versionId=${id}`);
      expect(answer.status).toBe(400);
      if (method === 'GET') {
        expect(String(answer.body)).toContain(
          '<Code>InvalidArgument</Code><Message>Invalid version id specified</Message>',
        );
        expect(String(answer.body)).toContain('<ArgumentName>versionId</ArgumentName>');
      }
    },
  );

  test('of a delete marker is a 405 with its headers, of the deleted object a 404 with them', async () => {
    const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker };
    const answer = await ask(`/models/deleted?versionId=${marker}`);
    expect(answer).toMatchObject({ status: 405, headers });
    if (method === 'GET')
      expect(String(answer.body)).toContain(
        '<Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message>',
      );
    expect(await ask('/models/deleted')).toMatchObject({ status: 404, headers });
  });

  test('of a bucket accepts no version ID', async () => {
    expect(await ask('/models?versionId=null')).toMatchObject({ status: 400 });
  });
});
