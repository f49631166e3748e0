import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { CommitWatch } from '#cache/engine/streams/commit-watch.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { chunkFor, patternBytes } from '#test/support/chunks.ts';
import { countingObserver, emptyCounts } from '#test/support/engines.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const NEVER = new AbortController().signal;
/** How long the cachestore is not queried again after it reported a chunk as missing. */
const ASK_AGAIN_MS = 250;

function open() {
  const clock = fakeClock();
  const store = fakeChunkStore();
  const catalog = new Catalog(10);
  const counts = emptyCounts();
  const body = patternBytes(1_000);
  const chunk = chunkFor(body, 'object');
  const watch = new CommitWatch({ store, catalog, clock, observer: countingObserver(counts) });
  const isStored = (signal = NEVER) => watch.isStored(chunk, signal);
  return { clock, store, catalog, counts, body, chunk, isStored };
}

test('concurrent callers share one query', async () => {
  const { store, body, chunk, isStored } = open();
  store.plant(chunk, body);
  store.hasGate.hold();
  const answers = [isStored(), isStored(), isStored()];
  await store.hasGate.reached();
  store.hasGate.release();
  expect(await Promise.all(answers)).toEqual([true, true, true]);
  expect(store.counts.has).toBe(1);
});

test('a stored chunk is recorded in the catalog, and the store is not queried again', async () => {
  const { store, catalog, body, chunk, isStored } = open();
  store.plant(chunk, body);
  expect(await isStored()).toBe(true);
  expect(catalog.has(chunk.path)).toBe(true);
  expect(await isStored()).toBe(true);
  expect(store.counts.has).toBe(1);
});

test('a missing chunk is queried again only after a pause, counted from the last query', async () => {
  const { clock, store, body, chunk, isStored } = open();
  expect(await isStored()).toBe(false);
  store.plant(chunk, body);
  await clock.advance(ASK_AGAIN_MS - 1);
  expect(await isStored()).toBe(false);
  expect(store.counts.has).toBe(1);
  await clock.advance(1);
  expect(await isStored()).toBe(true);
});

test.for(['store_unavailable', 'chunk_bad'] as const)('%s counts as not stored', async (code) => {
  const { store, counts, isStored } = open();
  store.inject({ on: 'has', error: new OrcaError(code, 'injected') });
  expect(await isStored()).toBe(false);
  expect(counts.fallThroughs).toEqual({ [`store/${code}`]: 1 });
});

test('an unexpected error is thrown to every caller, and is not remembered', async () => {
  const { store, isStored } = open();
  store.inject({ on: 'has', error: new OrcaError('internal', 'injected') });
  for (const answer of [isStored(), isStored()]) await expect(answer).rejects.toMatchObject({ code: 'internal' });
  expect(await isStored()).toBe(false);
});

test('a caller that leaves does not end the query for other callers', async () => {
  const { store, body, chunk, isStored } = open();
  store.plant(chunk, body);
  store.hasGate.hold();
  const disconnect = new AbortController();
  const [abandoned, other] = [isStored(disconnect.signal), isStored()];
  await store.hasGate.reached();
  disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
  await expect(abandoned).rejects.toMatchObject({ code: 'cancelled' });
  store.hasGate.release();
  expect(await other).toBe(true);
  expect(store.counts.has).toBe(1);
});
