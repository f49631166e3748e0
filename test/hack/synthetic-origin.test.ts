import { expect, onTestFinished, test } from 'vitest';
import { bytesAt, etagOf, isAt } from '#hack/demo-support/synthetic-bytes.ts';
import { startSyntheticOrigin } from '#hack/demo-support/synthetic-origin.ts';
import { http } from '#test/support/http.ts';

const MIB = 1024 * 1024;
const KEY = `a/b c-${3 * MIB}`;
const TARGET = `/bucket/a/b%20c-${3 * MIB}`;

async function start() {
  const origin = await startSyntheticOrigin();
  onTestFinished(() => origin[Symbol.asyncDispose]());
  return origin;
}

test('serves the content that the key determines, whole and in ranges', async () => {
  const { endpoint } = await start();
  const etag = etagOf('bucket', KEY);
  const whole = await http(endpoint, TARGET);
  expect(whole).toMatchObject({ status: 200, complete: true, headers: { etag: `"${etag}"` } });
  expect(whole.body).toHaveLength(3 * MIB);
  expect(isAt(etag, 0, whole.body)).toBe(true);
  const part = await http(endpoint, TARGET, { headers: { range: `bytes=${2 * MIB - 5}-${2 * MIB + 9}` } });
  expect(part).toMatchObject({
    status: 206,
    headers: { 'content-range': `bytes ${2 * MIB - 5}-${2 * MIB + 9}/${3 * MIB}` },
  });
  expect(part.body.equals(whole.body.subarray(2 * MIB - 5, 2 * MIB + 10))).toBe(true);
});

test('a rate limit does not change the content', async () => {
  const origin = await startSyntheticOrigin({ bytesPerSecond: 200 * MIB, latencyMs: 1 });
  onTestFinished(() => origin[Symbol.asyncDispose]());
  const { body } = await http(origin.endpoint, TARGET);
  expect(isAt(etagOf('bucket', KEY), 0, body)).toBe(true);
});

test('rejects keys without a size, ranges past the end, and writes', async () => {
  const { endpoint } = await start();
  expect((await http(endpoint, '/bucket/_orca-probe')).status).toBe(404);
  expect((await http(endpoint, TARGET, { headers: { range: `bytes=${3 * MIB}-` } })).status).toBe(416);
  expect((await http(endpoint, TARGET, { method: 'PUT' })).status).toBe(405);
});

test('a changed object has another ETag and other bytes, and fails If-Match with the old ETag', async () => {
  const origin = await start();
  const old = etagOf('bucket', KEY);
  origin.change('bucket', KEY);
  const { headers, body } = await http(origin.endpoint, TARGET);
  expect(headers.etag).toBe(`"${etagOf('bucket', KEY, 1)}"`);
  expect(isAt(old, 0, body)).toBe(false);
  expect((await http(origin.endpoint, TARGET, { headers: { 'if-match': `"${old}"` } })).status).toBe(412);
});

test.for([1, 64 * 1024, MIB, 8 * MIB, 64 * MIB])('bytes that are off by %i are seen', (offBytes) => {
  const etag = etagOf('bucket', KEY);
  expect(isAt(etag, offBytes, bytesAt(etag, 0, 4096))).toBe(false);
});
