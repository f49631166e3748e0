import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { FillAnswer, FillRequest, PeerAddress, PeerClient, PeerView } from '#cache/engine/ports.ts';
import { CommitWatch } from '#cache/engine/streams/commit-watch.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { chunkFor, patternBytes } from '#test/support/chunks.ts';
import { countingObserver, emptyCounts, peerSet } from '#test/support/engines.ts';
import { fakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { neverResponds } from '#test/support/scripted-peer.ts';

const NEVER = new AbortController().signal;
/** How long the cachestore is not queried again after it reported a chunk as missing. */
const ASK_AGAIN_MS = 250;

const UNAVAILABLE = new OrcaError('peer_unavailable', 'injected');
const FILLER = { peer: '10.0.0.2:8444' as PeerAddress, rank: 1 } as const;

/** By default the peer cannot be reached, so that the cachestore is queried. */
function open(fill: PeerClient['fill'] = () => Promise.reject(UNAVAILABLE)) {
  const clock = fakeClock();
  const store = fakeChunkStore();
  const catalog = new Catalog(10);
  const counts = emptyCounts();
  const body = patternBytes(1_000);
  const chunk = chunkFor(body, 'object');
  const requests: FillRequest[] = [];
  const peerClient = {
    fill: (...call: Parameters<PeerClient['fill']>) => {
      requests.push(call[1]);
      return fill(...call);
    },
  } as PeerClient;
  const view = peerSet('10.0.0.1:8444' as PeerAddress, [FILLER.peer]);
  const peers = { current: () => view } as PeerView;
  const watch = new CommitWatch({ store, peers, peerClient, catalog, clock, observer: countingObserver(counts) });
  const isStored = (signal = NEVER) => watch.isStored(chunk, FILLER, signal);
  return { clock, store, catalog, counts, body, chunk, requests, isStored };
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

describe('the replica that fills the chunk', () => {
  test('knows whether it is committed: the cachestore is not queried', async () => {
    let answer: FillAnswer = { kind: 'none' };
    const { clock, store, catalog, chunk, requests, isStored } = open(async () => answer);
    expect(await isStored()).toBe(false);
    await clock.advance(ASK_AGAIN_MS);
    answer = { kind: 'stored' };
    expect(await isStored()).toBe(true);
    expect(catalog.has(chunk.path)).toBe(true);
    expect(store.counts.has).toBe(0);
    expect(requests).toEqual(Array.from({ length: 2 }, () => expect.objectContaining({ reason: 'commit' })));
  });

  test('may be of a version that sends a byte: then the chunk is not committed', async () => {
    const { store, isStored } = open(async (_peer, { range }, sink) => {
      expect(range).toEqual({ from: 0, to: 1 });
      sink.space()!.fill(7);
      sink.filled(1);
      return { kind: 'bytes' };
    });
    expect(await isStored()).toBe(false);
    expect(store.counts.has).toBe(0);
  });

  test('is overloaded, or the object has changed: readers learn that from their next source', async () => {
    const { store, isStored } = open(() => Promise.reject(new OrcaError('overloaded', 'injected')));
    expect(await isStored()).toBe(false);
    expect(store.counts.has).toBe(0);
  });

  test.for([
    ['does not answer', neverResponds],
    ['has another view', async () => ({ kind: 'not_coordinator', owner: undefined, epoch: '0' }) as const],
  ] as const)('%s: the cachestore is queried', async ([, fill]) => {
    const { clock, store, chunk, body, isStored } = open(fill);
    store.plant(chunk, body);
    const answer = isStored();
    await clock.advance(2_000);
    expect(await answer).toBe(true);
    expect(store.counts.has).toBe(1);
  });
});
