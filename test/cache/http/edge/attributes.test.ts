/** GetObjectAttributes of objects in parts: pages, and what they cost the origin. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngines } from '#test/support/engines.ts';
import { http } from '#test/support/http.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

let parts = 0;
const { origin, replicas } = openEngines({
  originSeen: (fake) => ({
    ...fake,
    async part(object, part) {
      parts++;
      const range = { from: (part - 1) * 2, to: Math.min(part * 2, object.sizeBytes) };
      return { range, count: 300, checksums: { 'x-amz-checksum-crc32': `part${part}==` } };
    },
  }),
});
let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge(replicas[0]!.engine);
  const composite = { 'x-amz-checksum-crc32': 'AAAA-300', 'x-amz-checksum-type': 'COMPOSITE' };
  origin.put('far-models', 'composite', 'x'.repeat(600), { etag: 'e-300', headers: composite });
  origin.put('far-models', 'plain-parts', 'x'.repeat(600), { etag: 'f-300', headers: {} });
});
afterAll(() => edge[Symbol.asyncDispose]());

const ask = async (key: string, more: Record<string, string> = {}): Promise<string> => {
  const headers = { 'x-amz-object-attributes': 'ObjectParts', ...more };
  const { status, body } = await http(edge.url, `/models/${key}?attributes`, { headers });
  expect(status).toBe(200);
  return body.toString();
};

test('the parts are listed with their sizes and checksums, a page of 100 at a time', async () => {
  const first = await ask('composite');
  expect(first.match(/<Part>/g)).toHaveLength(100);
  expect(first).toContain(
    '<Part><ChecksumCRC32>part7==</ChecksumCRC32><PartNumber>7</PartNumber><Size>2</Size></Part>',
  );
  expect(first).toContain('<IsTruncated>true</IsTruncated>');
  expect(first).toContain('<NextPartNumberMarker>100</NextPartNumberMarker>');
  const last = await ask('composite', { 'x-amz-part-number-marker': '290' });
  expect(last.match(/<Part>/g)).toHaveLength(10);
  expect(last).toContain('<IsTruncated>false</IsTruncated>');
  // Known parts cost nothing.
  expect(parts).toBe(110);
  await ask('composite', { 'x-amz-max-parts': '5' });
  expect(parts).toBe(110);
});

test('without checksums of the parts, only their number is reported', async () => {
  expect(await ask('plain-parts')).toContain('<ObjectParts><PartsCount>300</PartsCount></ObjectParts>');
  expect(parts).toBe(110);
});
