import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const { signal } = new AbortController();
const body = patternBytes(1_000);
const chunks = Array.from({ length: 20 }, (_, index) => chunkFor(body, `object ${index}`));

async function afterCommits(error: OrcaError): Promise<string> {
  const store = fakeChunkStore();
  const guarded = guardStore(store, fakeClock());
  store.inject({ on: 'commit', times: 20, error });
  for (const chunk of chunks)
    await expect(guarded.commit(chunk, metadataFor(chunk, body), [body], { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  return guarded.breaker.state;
}

test.for([
  ['507', { status: 507 }],
  ['ENOSPC', { cause: Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }) }],
  ['EDQUOT', { cause: Object.assign(new Error('quota exceeded'), { code: 'EDQUOT' }) }],
  ['QuotaExceeded', { status: 403, cause: Object.assign(new Error('quota'), { code: 'QuotaExceeded' }) }],
  ['MinIO quota', { status: 400, cause: Object.assign(new Error(''), { code: 'XMinioAdminBucketQuotaExceeded' }) }],
] as const)('a full store (%s) does not open the circuit breaker: it can still be read', async ([, options]) => {
  expect(await afterCommits(new OrcaError('store_unavailable', 'full', options))).toBe('closed');
});

test('other store failures open the circuit breaker', async () => {
  expect(await afterCommits(new OrcaError('store_unavailable', 'broken', { status: 500 }))).toBe('open');
});

test('failing lists and removals do not open the circuit breaker, and an open one refuses them', async () => {
  const store = fakeChunkStore();
  const guarded = guardStore(store, fakeClock());
  const error = new OrcaError('store_unavailable', 'broken', { status: 500 });
  store.inject({ on: 'list', times: 100, error });
  store.inject({ on: 'remove', times: 100, error });
  for (const { path } of [...chunks, ...chunks]) {
    await expect(guarded.list(path.slice(0, -2), undefined, { signal })).rejects.toBe(error);
    await expect(guarded.remove([path], { signal })).rejects.toBe(error);
  }
  expect(guarded.breaker.state).toBe('closed');

  store.down = error;
  for (const chunk of chunks) await expect(guarded.has(chunk, { signal })).rejects.toMatchObject({ code: error.code });
  expect(guarded.breaker.state).toBe('open');
  store.down = undefined;
  const { lists, removeCalls } = store.counts;
  await expect(guarded.list('_orca/', undefined, { signal })).rejects.toMatchObject({ details: 'not_asked' });
  await expect(guarded.remove(['_orca/a'], { signal })).rejects.toMatchObject({ details: 'not_asked' });
  await expect(guarded.totalBytes!({ signal })).rejects.toMatchObject({ details: 'not_asked' });
  expect(store.counts).toMatchObject({ lists, removeCalls });
});
