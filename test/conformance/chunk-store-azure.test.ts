import { expect, test } from 'vitest';
import { metadataHeaders, openAzureStore } from '#cache/stores/azure.ts';
import { startAzurite } from '#test/support/azurite.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { chunkStoreSuite } from './suites/chunk-store.ts';

chunkStoreSuite('Azure Blob (Azurite)', async () => {
  const azurite = await startAzurite({ containers: ['chunks'] });
  const store = openAzureStore({ ...azurite.client, container: 'chunks' });
  store.trustConditions(true);
  return {
    store,
    plant: (path, body, fields = {}) => azurite.putBlob('chunks', path, body, metadataHeaders(fields)),
    vanish: (path) => azurite.deleteBlob('chunks', path),
    async [Symbol.asyncDispose]() {
      await store.close();
      await azurite[Symbol.asyncDispose]();
    },
  };
});

const body = patternBytes(4 * 1024 * 1024);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 1024 * 1024);
const { signal } = new AbortController();

test('an upload cut in the middle never becomes a chunk', async () => {
  await using azurite = await startAzurite({ containers: ['chunks'] });
  const direct = openAzureStore({ ...azurite.client, container: 'chunks' });
  for (const how of ['fin', 'reset'] as const) {
    await using proxy = await startCuttingProxy(new URL(azurite.endpoint).origin);
    const store = openAzureStore({
      ...azurite.client,
      endpoint: `${proxy.endpoint}/${azurite.account}`,
      container: 'chunks',
    });
    proxy.cutNext({ direction: 'up', afterBytes: 2_000_000, how });
    await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(proxy.cuts).toBe(1);
    await proxy.settled();
    expect(await direct.has(chunk, { signal })).toBe(false);
    await store.close();
  }
  expect(await direct.commit(chunk, metadata, pieces, { signal })).toBe('won');
  await direct.close();
});

test('a commit whose answer is lost looks, and finds its own chunk there', async () => {
  await using azurite = await startAzurite({ containers: ['chunks'] });
  await using proxy = await startCuttingProxy(new URL(azurite.endpoint).origin);
  const store = openAzureStore({
    ...azurite.client,
    endpoint: `${proxy.endpoint}/${azurite.account}`,
    container: 'chunks',
  });
  proxy.cutOnce({ direction: 'down', afterBytes: 0, how: 'reset' });
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
  expect(proxy.cuts).toBe(1);
  expect(await store.has(chunk, { signal })).toBe(true);
  await store.close();
});

test('a store without its container is unavailable, not empty; a stopped one too, until it is back', async () => {
  await using azurite = await startAzurite();
  const store = openAzureStore({ ...azurite.client, container: 'chunks' });
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await expect(store.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    status: 404,
  });
  await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await azurite.stop();
  await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await azurite.start();
  await azurite.createContainer('chunks');
  expect(await store.has(chunk, { signal })).toBe(false);
  await store.close();
});
