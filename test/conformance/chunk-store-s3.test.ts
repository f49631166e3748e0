import { expect, test } from 'vitest';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { startVersitygw } from '#test/support/versitygw.ts';
import { chunkStoreSuite } from '#test/conformance/suites/chunk-store.ts';

chunkStoreSuite('S3 (versitygw)', async () => {
  const gateway = await startVersitygw({ buckets: ['chunks'] });
  const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
  store.trustConditions(true);
  return {
    store,
    async plant(path, body, fields = {}) {
      const headers = Object.fromEntries(Object.entries(fields).map(([name, value]) => [`x-amz-meta-${name}`, value]));
      await gateway.putObject('chunks', path, body, headers);
    },
    vanish: (path) => gateway.deleteObject('chunks', path),
    async [Symbol.asyncDispose]() {
      await store.close();
      await gateway[Symbol.asyncDispose]();
    },
  };
});

const body = patternBytes(4 * 1024 * 1024);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 1024 * 1024);
const { signal } = new AbortController();

test.for(['fin', 'reset'] as const)('an upload interrupted by a %s never becomes a chunk', async (how) => {
  await using gateway = await startVersitygw({ buckets: ['chunks'] });
  await using proxy = await startCuttingProxy(gateway.endpoint);
  const direct = openS3Store({ ...gateway.client, bucket: 'chunks' });
  const store = openS3Store({ ...gateway.client, endpoint: proxy.endpoint, bucket: 'chunks' });
  store.trustConditions(true);
  proxy.cutNext({ direction: 'up', afterBytes: 2_000_000, how });
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(proxy.cuts).toBe(1);
  await proxy.settled();
  expect(await direct.has(chunk, { signal })).toBe(false);

  proxy.cutNext(undefined);
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
  expect(await direct.has(chunk, { signal })).toBe(true);
  await store.close();
  await direct.close();
});

test('an upload that does not match its checksum is rejected and never visible', async () => {
  await using gateway = await startVersitygw({ buckets: ['chunks'] });
  const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
  const wrong = { ...metadata, crc32: (metadata.crc32 ^ 1) >>> 0 };
  await expect(store.commit(chunk, wrong, pieces, { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    status: 400,
  });
  expect(await store.has(chunk, { signal })).toBe(false);
  await store.close();
});

test('a commit whose response is lost queries the store and finds its own chunk', async () => {
  await using gateway = await startVersitygw({ buckets: ['chunks'] });
  await using proxy = await startCuttingProxy(gateway.endpoint);
  const store = openS3Store({ ...gateway.client, endpoint: proxy.endpoint, bucket: 'chunks' });
  store.trustConditions(true);
  // The response to the PUT is lost; the one to the following query is not.
  proxy.cutOnce({ direction: 'down', afterBytes: 0, how: 'reset' });
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
  expect(proxy.cuts).toBe(1);
  expect(await store.has(chunk, { signal })).toBe(true);
  await store.close();
});

test('a store without its bucket is unavailable, not empty', async () => {
  await using gateway = await startVersitygw();
  const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
  // Without a status: the store answers 404 before it has read the body, and its reset may arrive before the response.
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await expect(store.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    status: 404,
  });
  await store.close();
});

test('a stopped store is unavailable, and works again after a restart', async () => {
  await using gateway = await startVersitygw({ buckets: ['chunks'] });
  const store = openS3Store({ ...gateway.client, bucket: 'chunks' });
  await store.commit(chunk, metadata, pieces, { signal });
  await gateway.stop();
  await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await gateway.start();
  expect(await store.has(chunk, { signal })).toBe(true);
  await store.close();
});
