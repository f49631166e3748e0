import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ListPage } from '#cache/core/s3/listing.ts';
import { StoredLists } from '#cache/engine/metadata/stored-lists.ts';
import { countingObserver, emptyCounts } from '#test/support/engines.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';

const pageOf = (...prefixes: string[]): ListPage => ({
  items: prefixes.map((prefix) => ({ kind: 'prefix', prefix })),
  truncated: false,
});

/** `shared`: what replicas share. */
function open(shared: { readonly clock?: FakeClock; readonly store?: FakeChunkStore } = {}) {
  const { clock = fakeClock(), store = fakeChunkStore() } = shared;
  const counts = emptyCounts();
  const lists = new StoredLists({ store, clock, observer: countingObserver(counts), originId: 'test' });
  const record = (name: string, page: ListPage, isRepeated = false) =>
    lists.record(name, page, clock.now(), isRepeated);
  /** Lets what may be written now be written. */
  const settle = () => clock.advance(0);
  return { clock, store, counts, lists, record, settle };
}

/** Two names of pages that share a place. */
function sharedPlace(): [string, string] {
  return ['["bucket","78"]', '["bucket","143"]'];
}

test('a page is written once, and again when it changes or after an hour', async () => {
  const { clock, counts, record, settle } = open();
  for (let minute = 0; minute < 59; minute++) {
    record('["b"]', pageOf('a/'));
    await settle();
    await clock.advance(60_000);
  }
  expect(counts.listWrites).toEqual({ written: 1 });
  record('["b"]', pageOf('a/', 'b/'));
  await settle();
  expect(counts.listWrites).toEqual({ written: 2 });
  await clock.advance(3_600_000);
  record('["b"]', pageOf('a/', 'b/'));
  await settle();
  expect(counts.listWrites).toEqual({ written: 3 });
});

test('a page that changes all the time is written once a minute', async () => {
  const { clock, counts, record, settle } = open();
  for (let second = 0; second < 120; second++) {
    record('["b"]', pageOf(`${second}/`));
    await settle();
    await clock.advance(1_000);
  }
  expect(counts.listWrites).toEqual({ written: 2 });
});

test('a client that walks a huge bucket causes one write a second after a burst of 64', async () => {
  const { clock, counts, lists, record } = open();
  for (let index = 0; index < 200; index++) record(`["b","${index}"]`, pageOf(`${index}/`));
  await clock.advance(0);
  expect(counts.listWrites).toEqual({ written: 64 });
  await clock.advance(10_000);
  expect(counts.listWrites).toEqual({ written: 74 });
  expect(lists.waiting).toBe(200 - 74);
});

test('what waits is bounded, the oldest page is dropped', async () => {
  const { clock, counts, lists, record } = open();
  const page = pageOf(...Array.from({ length: 1_000 }, (_, index) => `${index}/`.repeat(10)));
  for (let index = 0; index < 500; index++) record(`["b","${index}"]`, page);
  await clock.advance(0);
  expect(lists.waiting).toBeLessThan(40);
  const { written = 0, dropped = 0 } = counts.listWrites;
  expect(written + dropped + lists.waiting).toBe(500);
});

test('the number of places is fixed, and a page whose place has another page is not found', async () => {
  const [one, two] = sharedPlace();
  const { store, record, lists, settle } = open();
  record(one, pageOf('a/'));
  await settle();
  expect(await lists.read(one)).toMatchObject({ page: pageOf('a/') });
  expect(await lists.read(two)).toBeUndefined();
  record(two, pageOf('b/'));
  await settle();
  expect(await lists.read(one)).toBeUndefined();
  expect(await lists.read(two)).toMatchObject({ page: pageOf('b/') });
  expect(store.smallNames()).toHaveLength(1);
});

test('a page that is requested again and again keeps its place for a day', async () => {
  const [one, two] = sharedPlace();
  const { clock, counts, record, lists, settle } = open();
  record(one, pageOf('a/'), true);
  await settle();
  record(two, pageOf('b/'));
  await settle();
  expect(counts.listWrites).toEqual({ written: 1, kept_other: 1 });
  expect(await lists.read(one)).toBeDefined();
  await clock.advance(25 * 3_600_000);
  record(two, pageOf('b/'));
  await settle();
  expect(await lists.read(two)).toBeDefined();
});

test('a page over the limit is not written', async () => {
  const { store, counts, record, settle } = open();
  const names = Array.from({ length: 1_000 }, () =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(300))).toString('hex'),
  );
  record('["b"]', pageOf(...names));
  await settle();
  expect(counts.listWrites).toEqual({ too_large: 1 });
  expect(store.smallNames()).toEqual([]);
});

test('an older page never replaces a newer one of another replica', async () => {
  const one = open();
  const two = open(one);
  await one.clock.advance(5_000);
  one.record('["b"]', pageOf('new/'));
  await one.settle();
  two.lists.record('["b"]', pageOf('old/'), one.clock.now() - 1_000, false);
  await two.settle();
  expect(two.counts.listWrites).toEqual({ kept_other: 1 });
  expect(await one.lists.read('["b"]')).toMatchObject({ page: pageOf('new/') });
});

test('a failed write is reported, and a failed read finds nothing', async () => {
  const { store, counts, lists, record, settle } = open();
  store.down = new OrcaError('store_unavailable', 'injected');
  record('["b"]', pageOf('a/'));
  await settle();
  expect(counts.listWrites).toEqual({ failed: 1 });
  expect(counts.warnings).toEqual(['page of a list not written']);
  expect(await lists.read('["b"]')).toBeUndefined();
});

test('another program’s object is no page', async () => {
  const { store, lists, record, settle } = open();
  record('["b"]', pageOf('a/'));
  await settle();
  const [name] = store.smallNames();
  await store.putSmall(name!, Buffer.from('nonsense'), { signal: AbortSignal.timeout(1_000) });
  expect(await lists.read('["b"]')).toBeUndefined();
});

test('nothing is written after the end', async () => {
  const { clock, store, lists, record } = open();
  lists.close();
  record('["b"]', pageOf('a/'));
  await clock.advance(10_000);
  expect(store.smallNames()).toEqual([]);
});
