/** Checksums in responses to requests by part number: SDKs verify whatever they get. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const { origin, replicas } = openEngines({
  originSeen: (fake) => ({
    ...fake,
    async part(object, part, options) {
      return { ...(await fake.part(object, part, options)), checksums: { 'x-amz-checksum-crc32': `part${part}==` } };
    },
  }),
});
let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine);
  const headers = { 'x-amz-checksum-crc32': 'whole===', 'x-amz-checksum-type': 'FULL_OBJECT' };
  origin.put('far-models', 'multipart', 'one and two', { etag: 'e-2', headers });
  origin.put('far-models', 'plain', 'one', { headers });
});
afterAll(() => edge[Symbol.asyncDispose]());

const crcOf = async (target: string, mode: string | undefined, method = 'GET') => {
  const headers = mode === undefined ? {} : { 'x-amz-checksum-mode': mode };
  const answer = await http(edge.url, target, { method, headers });
  return answer.headers['x-amz-checksum-crc32'];
};

test.for(['GET', 'HEAD'])('%s of a part has its own checksum, if the client requests checksums', async (method) => {
  expect(await crcOf('/models/multipart?partNumber=2', 'ENABLED', method)).toBe('part2==');
  expect(await crcOf('/models/multipart?partNumber=2', undefined, method)).toBeUndefined();
});

test('the only part of an object has the checksum of the object', async () => {
  expect(await crcOf('/models/plain?partNumber=1', 'ENABLED')).toBe('whole===');
});

test('the whole object has its checksum, and a range has none', async () => {
  expect(await crcOf('/models/multipart', 'ENABLED')).toBe('whole===');
  const headers = { 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-1' };
  expect((await http(edge.url, '/models/multipart', { headers })).headers).not.toHaveProperty('x-amz-checksum-crc32');
});
