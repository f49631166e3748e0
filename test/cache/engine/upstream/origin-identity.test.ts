import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ChunkStore } from '#cache/engine/ports.ts';
import { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import {
  countingObserver,
  emptyCounts,
  MIB,
  openEngines,
  patternBytes,
  readAll,
  readRequest,
} from '#test/support/engines.ts';

const { signal } = new AbortController();
const down = new OrcaError('store_unavailable', 'down');

function open<Store extends ChunkStore = FakeChunkStore>(
  fingerprint: string,
  store = fakeChunkStore() as ChunkStore as Store,
) {
  const clock = fakeClock();
  const counts = emptyCounts();
  let ours = 0;
  const identity = new OriginIdentity({
    store,
    clock,
    observer: countingObserver(counts),
    originId: 'models',
    fingerprint,
    onOurs: () => ours++,
  });
  return { clock, store, counts, identity, ours: () => ours };
}

test('the first cache registers its origin; a cache with the same origin finds it registered', async () => {
  const { store, identity, ours } = open('S3 eu.example.com');
  expect(identity.state).toBe('unknown');
  expect(await identity.check(signal)).toBe('ours');
  expect(await open('S3 eu.example.com', store).identity.check(signal)).toBe('ours');
  expect(await identity.check(signal)).toBe('ours');
  expect(ours()).toBe(1);
});

test('a cache whose origin differs under the same id is refused, and the message names both origins', async () => {
  const { store, identity } = open('S3 eu.example.com');
  await identity.check(signal);
  const other = open('S3 us.example.com', store);
  expect(await other.identity.check(signal)).toBe('conflict');
  const message = other.identity.refusal()?.message;
  expect(message).toContain('S3 eu.example.com');
  expect(message).toContain('S3 us.example.com');
  expect(other.counts.warnings).toHaveLength(1);
  await other.identity.check(signal);
  expect(other.counts.warnings).toHaveLength(1);
  expect(identity.refusal()).toBeUndefined();
});

test('a cache that registers at the same time as another, in a store without conditional writes, finds the conflict', async () => {
  const store = fakeChunkStore();
  const racing: ChunkStore = {
    ...store,
    async putSmall(name, body, options) {
      await store.putSmall(name, body, { signal: options.signal });
      return store.putSmall(name, Buffer.from('S3 us.example.com'), { signal: options.signal });
    },
  };
  const { identity } = open('S3 eu.example.com', racing);
  expect(await identity.check(signal)).toBe('conflict');
});

test('while the store is down, the state does not change', async () => {
  const { store, identity } = open('a');
  store.down = down;
  expect(await identity.check(signal)).toBe('unknown');
  store.down = undefined;
  expect(await identity.check(signal)).toBe('ours');
  store.down = down;
  expect(await identity.check(signal)).toBe('ours');
});

test('an unknown state is checked again soon, a known one every ten minutes', async () => {
  const { clock, store, identity } = open('a');
  store.down = down;
  const ended = new AbortController();
  const running = identity.run(ended.signal);
  await clock.advance(4_000);
  store.down = undefined;
  expect(identity.state).toBe('unknown');
  await clock.advance(1_000);
  expect(identity.state).toBe('ours');
  await store.putSmall('_orca/identity/models', Buffer.from('b'), { signal });
  await clock.advance(599_000);
  expect(identity.state).toBe('ours');
  await clock.advance(1_000);
  expect(identity.state).toBe('conflict');
  ended.abort();
  await running;
});

describe('a cache', () => {
  test('commits its chunks only after the origin’s identity was confirmed', async () => {
    const clock = fakeClock();
    const engines = openEngines({ clock, fingerprint: 'a', readahead: 0 });
    const { engine } = engines.replicas[0]!;
    engines.origin.put('far-models', 'o', patternBytes(2 * MIB));
    await readAll(engine, readRequest('o'));
    await engine.idle();
    expect([engines.store.paths().length, engine.outbox.count]).toEqual([0, 2]);
    const ended = new AbortController();
    const running = engine.run(ended.signal);
    await clock.advance(100);
    expect([engines.store.paths().length, engine.outbox.count]).toEqual([2, 0]);
    ended.abort();
    await running;
  });

  test('whose cachestore belongs to another origin serves nothing', async () => {
    const engines = openEngines({ fingerprint: 'a' });
    const { engine } = engines.replicas[0]!;
    await engines.store.putSmall('_orca/identity/test', Buffer.from('b'), { signal });
    await engine.identity.check(signal);
    await expect(engine.read(readRequest('o'))).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});
