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
] as const)('a full store (%s) does not open the circuit breaker: it can still be read', async ([, options]) => {
  expect(await afterCommits(new OrcaError('store_unavailable', 'full', options))).toBe('closed');
});

test('other store failures open the circuit breaker', async () => {
  expect(await afterCommits(new OrcaError('store_unavailable', 'broken', { status: 500 }))).toBe('open');
});
