/**
 * Runs against Azurite, which differs from the real service: it has no request limits and no versions, and answers 409
 * BlobAlreadyExists where Azure may answer 412 to a concurrent writer. Both are `taken`.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judgeConditionalWrites } from '#cache/core/store-verdict.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { metadataHeaders, openAzureStore } from '#cache/stores/azure-blob/store.ts';
import { AZURITE_HOOK_MS, startAzurite, type Azurite } from '#test/support/azurite.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { chunkStoreSuite } from '#test/conformance/suites/chunk-store.ts';

/** One for the whole file, because a start takes longer than all tests. */
let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite({ containers: ['chunks', 'cut', 'lost', 'probed'] });
}, AZURITE_HOOK_MS);
afterAll(() => azurite[Symbol.asyncDispose]());

function open(container: string, endpoint = azurite.endpoint): ProbedStore {
  const store = openAzureStore({ ...azurite.client, endpoint, container });
  store.trustConditions(true);
  return store;
}

chunkStoreSuite('Azure Blob (Azurite)', async () => {
  const store = open('chunks');
  return {
    store,
    plant: (path, bytes, fields = {}) => azurite.putBlob('chunks', path, bytes, metadataHeaders(fields)),
    vanish: (path) => azurite.deleteBlob('chunks', path),
    [Symbol.asyncDispose]: () => store.close(),
  };
});

const body = patternBytes(4 * 1024 * 1024);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 1024 * 1024);
const { signal } = new AbortController();

test.for(['fin', 'reset'] as const)('an upload interrupted by a %s never becomes a chunk', async (how) => {
  await using proxy = await startCuttingProxy(new URL(azurite.endpoint).origin);
  const direct = open('cut');
  const store = open('cut', `${proxy.endpoint}/${azurite.account}`);
  proxy.cutNext({ direction: 'up', afterBytes: 2_000_000, how });
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(proxy.cuts).toBe(1);
  await proxy.settled();
  expect(await direct.has(chunk, { signal })).toBe(false);
  await store.close();
  await direct.close();
});

test('an upload that does not match its MD5 is rejected and never visible', async () => {
  const answer = await azurite
    .putBlob('cut', 'wrong', 'body', { 'content-md5': Buffer.alloc(16).toString('base64') })
    .catch(String);
  expect(answer).toMatch(/400 .*Md5Mismatch/s);
  expect((await azurite.request({ method: 'HEAD', container: 'cut', blob: 'wrong' })).status).toBe(404);
});

test('a commit whose response is lost queries the store and finds its own chunk', async () => {
  await using proxy = await startCuttingProxy(new URL(azurite.endpoint).origin);
  const store = open('lost', `${proxy.endpoint}/${azurite.account}`);
  // The response to the PUT is lost; the one to the following query is not.
  proxy.cutOnce({ direction: 'down', afterBytes: 0, how: 'reset' });
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('lost');
  expect(proxy.cuts).toBe(1);
  expect(await store.has(chunk, { signal })).toBe(true);
  await store.close();
});

test('the probe classifies its conditional writes as atomic', async () => {
  const store = open('probed');
  const name = '_orca/probe/0123456789abcdef';
  const findings = await store.probe(name, { signal });
  expect(judgeConditionalWrites(findings)).toBe('atomic');
  expect(findings).toMatchObject({ problems: [], versioned: false });
  expect(await store.getSmall(name, { signal })).toBeUndefined();
  expect(await store.getSmall(`${name}.first`, { signal })).toBeUndefined();
  await store.close();
});

test('a store without its container is unavailable, not empty', async () => {
  const store = open('nowhere');
  await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await expect(store.getSmall('_orca/identity/x', { signal })).rejects.toMatchObject({
    code: 'store_unavailable',
    status: 404,
  });
  await expect(store.has(chunk, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  await store.close();
});
