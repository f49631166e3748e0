/** SSE-C as clients see it: never the plain object in answer to a request with a key. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const { origin, replicas } = openEngines();
let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine);
  origin.put('far-models', 'plain', 'plain body');
  origin.put('far-models', 'encrypted', 'never sent');
  origin.inject({ on: 'head', key: 'encrypted', what: new OrcaError('object_encrypted', 'injected'), times: 1 });
});
afterAll(() => edge[Symbol.asyncDispose]());

const bytes = Buffer.alloc(32, 7);
const PREFIX = 'x-amz-server-side-encryption-customer-';
const KEY = {
  [`${PREFIX}algorithm`]: 'AES256',
  [`${PREFIX}key`]: bytes.toString('base64'),
  [`${PREFIX}key-md5`]: createHash('md5').update(bytes).digest('base64'),
};

describe.for(['GET', 'HEAD'] as const)('%s', (method) => {
  const ask = (target: string, headers: Record<string, string>) => http(edge.url, target, { method, headers });
  const expectRefused = async (target: string, headers: Record<string, string>, text: string): Promise<void> => {
    const { status, body } = await ask(target, headers);
    expect(status).toBe(400);
    expect(body.toString()).not.toContain('plain body');
    if (method === 'GET') expect(body.toString()).toContain(text);
  };

  test('with a key of an object that has none is refused', async () => {
    const text = '<Code>InvalidRequest</Code><Message>The encryption parameters are not applicable to this object.';
    for (const target of ['/models/plain', '/models/plain?partNumber=1', '/models/plain?versionId=null'])
      await expectRefused(target, KEY, text);
    await expectRefused('/models/plain', { ...KEY, range: 'bytes=0-1', 'if-none-match': '*' }, text);
  });

  test('with an incomplete key is refused', async () => {
    await expectRefused('/models/plain', { [`${PREFIX}algorithm`]: 'AES256' }, '<Code>InvalidArgument</Code>');
  });

  test('reports that an object is encrypted, with and without a key', async () => {
    await expectRefused('/models/encrypted', KEY, 'customer-provided key (SSE-C)');
    await expectRefused('/models/encrypted', {}, 'customer-provided key (SSE-C)');
  });

  test('with a key of an object that does not exist is 404', async () => {
    expect((await ask('/models/missing', KEY)).status).toBe(404);
  });
});

test('an encrypted object costs one HEAD within the negative TTL', () => {
  // Three more for the plain object, its null version, and the missing object.
  expect(origin.counts.heads).toBe(4);
});
