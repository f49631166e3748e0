import { describe, expect, test } from 'vitest';
import type { ClientCacheControl } from '#cache/core/cache-control.ts';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import type { ListItem, ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import { Listings, underPrefix, withoutPrefix } from '#cache/engine/metadata/listings.ts';
import { StoredLists } from '#cache/engine/metadata/stored-lists.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { countingObserver, emptyCounts, MIB, whileTimePasses } from '#test/support/engines.ts';
import { fakeChunkStore, type FakeChunkStore } from '#test/support/fake-chunk-store.ts';
import { fakeClock, type FakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const NEVER = new AbortController().signal;
const TTL_MS = 5_000;
const ALL: ListQuery = { prefix: '', delimiter: '', after: '', maxKeys: 1_000 };

interface Options {
  readonly ttlMs?: number;
  readonly staleIfErrorMs?: number;
  readonly pages?: Record<string, ListPage>;
  /** Those of another replica. */
  readonly clock?: FakeClock;
  readonly store?: FakeChunkStore;
}

const STALE_IF_ERROR_MS = 3_600_000;

function open(options: Options = {}) {
  const { ttlMs = TTL_MS, staleIfErrorMs = STALE_IF_ERROR_MS, pages } = options;
  const { clock = fakeClock(), store = fakeChunkStore() } = options;
  const origin = fakeOrigin();
  const counts = emptyCounts();
  const observer = countingObserver(counts);
  const requests: string[] = [];
  const listings = new Listings({
    origin: {
      ...origin,
      async list(bucket, query, options) {
        requests.push(query.prefix);
        return pages?.[query.prefix] ?? origin.list(bucket, query, options);
      },
    },
    limiter: new OriginLimiter({ targetGlobal: () => 16, replicas: () => 1, queueTimeoutMs: 5_000, clock }),
    clock,
    observer,
    random: () => 0.5,
    retry: { attempts: 3, backoffInitialMs: 1, backoffMaxMs: 2, maxTotalDurationMs: 5_000 },
    ttlMs,
    staleIfErrorMs,
    stored: new StoredLists({ store, clock, observer, originId: 'test' }),
  });
  const ask = (more: Partial<ListQuery> = {}, signal = NEVER) =>
    whileTimePasses(clock, listings.list('bucket', { ...ALL, ...more }, signal));
  const list = async (more: Partial<ListQuery> = {}) => (await ask(more)).page;
  /** Fails the origin's next lists. */
  const failWith = (code: ErrorCode, times = 1_000) =>
    origin.inject({ on: 'list', what: new OrcaError(code, 'injected'), times });
  return { clock, store, origin, counts, requests, listings, ask, list, failWith };
}

const prefixItem = (prefix: string): ListItem => ({ kind: 'prefix', prefix });
const namesOf = ({ items }: ListPage) => items.map((item) => (item.kind === 'object' ? item.entry.key : item.prefix));
/** A page of `count` equal items. */
const pageOf = (count: number, name = 'a'): ListPage => ({
  items: Array.from({ length: count }, () => prefixItem(name)),
  truncated: false,
});

describe('concurrent requests', () => {
  test('for the same page share one origin request', async () => {
    const { clock, origin, requests, listings } = open();
    origin.put('bucket', 'k', 'body');
    origin.headGate.hold();
    const pages = [1, 2, 3].map(() => listings.list('bucket', ALL, NEVER));
    await origin.headGate.reached();
    origin.headGate.release();
    for (const { page } of await whileTimePasses(clock, Promise.all(pages))) expect(namesOf(page)).toEqual(['k']);
    expect(requests).toHaveLength(1);
  });

  test('share a failure, and the next request tries again', async () => {
    const { clock, origin, requests, listings, list } = open();
    origin.createBucket('bucket');
    origin.inject({ on: 'list', what: new OrcaError('internal', 'injected') });
    const pages = Promise.allSettled([1, 2].map(() => listings.list('bucket', ALL, NEVER)));
    for (const outcome of await whileTimePasses(clock, pages))
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'internal' } });
    expect(requests).toHaveLength(1);
    expect(namesOf(await list())).toEqual([]);
  });

  test('are not affected by a caller that leaves', async () => {
    const { clock, origin, requests, listings } = open();
    origin.put('bucket', 'k', 'body');
    origin.headGate.hold();
    const disconnect = new AbortController();
    const abandoned = listings.list('bucket', ALL, disconnect.signal);
    const other = listings.list('bucket', ALL, NEVER);
    await origin.headGate.reached();
    disconnect.abort(new OrcaError('cancelled', 'the client has disconnected'));
    await expect(abandoned).rejects.toMatchObject({ code: 'cancelled' });
    origin.headGate.release();
    expect(namesOf((await whileTimePasses(clock, other)).page)).toEqual(['k']);
    expect(requests).toHaveLength(1);
  });

  test('for different pages are not coalesced', async () => {
    const { origin, requests, list } = open();
    origin.put('bucket', 'k/1', 'body');
    const pages = [{}, { prefix: 'k/' }, { delimiter: '/' }, { after: 'a' }, { maxKeys: 1 }];
    for (const page of pages) await list(page);
    expect(requests).toHaveLength(5);
  });
});

describe('a page', () => {
  test('is kept for its TTL', async () => {
    const { clock, origin, requests, list } = open();
    origin.put('bucket', 'a', 'body');
    await list();
    origin.put('bucket', 'b', 'body');
    await clock.advance(TTL_MS - 1_000);
    expect(namesOf(await list())).toEqual(['a']);
    await clock.advance(1_000);
    expect(namesOf(await list())).toEqual(['a', 'b']);
    expect(requests).toHaveLength(2);
  });

  test('is not kept with a TTL of 0', async () => {
    const { origin, requests, list } = open({ ttlMs: 0 });
    origin.createBucket('bucket');
    await list();
    await list();
    expect(requests).toHaveLength(2);
  });

  test('is dropped when all pages take more than 32 MiB, the least recently used page first', async () => {
    const page = pageOf(1_000, 'x'.repeat(5_000));
    const pages = Object.fromEntries(['a', 'b', 'c', 'd'].map((prefix) => [prefix, page]));
    const { listings, requests, list } = open({ ttlMs: 600_000, pages });
    for (const prefix of ['a', 'b', 'c', 'a', 'd']) await list({ prefix });
    expect(requests).toEqual(['a', 'b', 'c', 'd']);
    for (const prefix of ['a', 'c', 'd', 'b']) await list({ prefix });
    expect(requests).toEqual(['a', 'b', 'c', 'd', 'b']);
    expect(listings.sizeBytes).toBeGreaterThan(28 * MIB);
    expect(listings.sizeBytes).toBeLessThanOrEqual(32 * MIB);
  });
});

describe('a client', () => {
  const list = ({ clock, listings }: ReturnType<typeof open>, accepted: Partial<ClientCacheControl>) =>
    whileTimePasses(
      clock,
      listings.list('bucket', ALL, NEVER, { maxAgeMs: undefined, onlyIfCached: false, ...accepted }),
    );

  test('that accepts no age gets a page that was requested after its request', async () => {
    const world = open();
    world.origin.put('bucket', 'a', 'body');
    await world.list();
    world.origin.put('bucket', 'b', 'body');
    expect(namesOf((await list(world, { maxAgeMs: 0 })).page)).toEqual(['a', 'b']);
    await world.clock.advance(1_000);
    await list(world, { maxAgeMs: 2_000 });
    expect(world.requests).toHaveLength(2);
    await list(world, { maxAgeMs: 1_000 });
    expect(world.requests).toHaveLength(3);
  });

  test('that requests only what is cached gets the kept page, or an error', async () => {
    const world = open();
    world.origin.put('bucket', 'a', 'body');
    await expect(list(world, { onlyIfCached: true })).rejects.toMatchObject({ code: 'not_cached' });
    await world.list();
    expect(namesOf((await list(world, { onlyIfCached: true })).page)).toEqual(['a']);
    expect(world.requests).toHaveLength(1);
  });
});

test('with a TTL of 0 a list after a write contains it, although an earlier list is in flight', async () => {
  const pages = { '': pageOf(1, 'before') };
  const { clock, origin, requests, listings } = open({ ttlMs: 0, pages });
  origin.createBucket('bucket');
  const gate = Promise.withResolvers<undefined>();
  pages[''] = gate.promise.then(() => pageOf(1, 'before')) as unknown as ListPage;
  const early = listings.list('bucket', ALL, NEVER);
  await clock.advance(0);
  expect(requests).toHaveLength(1);
  // Three clients that wrote meanwhile share one list.
  const late = [1, 2, 3].map(() => listings.list('bucket', ALL, NEVER));
  pages[''] = pageOf(1, 'after');
  gate.resolve(undefined);
  expect(namesOf((await whileTimePasses(clock, early)).page)).toEqual(['before']);
  for (const { page } of await whileTimePasses(clock, Promise.all(late))) expect(namesOf(page)).toEqual(['after']);
  expect(requests).toHaveLength(2);
});

describe('while the origin is down', () => {
  test('the last known page is served with its age', async () => {
    const { clock, origin, ask, failWith, counts } = open();
    origin.put('bucket', 'a', 'body');
    expect(await ask()).toMatchObject({ stale: false, ageMs: 0 });
    await clock.advance(1_800_000);
    failWith('origin_unavailable');
    const { page, stale, ageMs } = await ask();
    expect([namesOf(page), stale]).toEqual([['a'], true]);
    expect(ageMs).toBeGreaterThanOrEqual(1_800_000);
    expect(counts.lists).toEqual({ origin: 1, stale: 1 });
  });

  test('also when the origin throttles, and with a TTL of 0', async () => {
    const { origin, ask, failWith } = open({ ttlMs: 0 });
    origin.put('bucket', 'a', 'body');
    await ask();
    failWith('origin_throttled');
    expect(await ask()).toMatchObject({ stale: true });
  });

  test('a page that is not known, or is older than the limit, is an error', async () => {
    const { clock, origin, ask, failWith } = open();
    origin.put('bucket', 'a', 'body');
    await ask();
    failWith('origin_unavailable');
    await expect(ask({ prefix: 'b' })).rejects.toMatchObject({ code: 'origin_unavailable' });
    await clock.advance(STALE_IF_ERROR_MS + 1);
    await expect(ask()).rejects.toMatchObject({ code: 'origin_unavailable' });
  });

  test('nothing is served past its TTL with a limit of 0', async () => {
    const { clock, origin, ask, failWith, store } = open({ staleIfErrorMs: 0 });
    origin.put('bucket', 'a', 'body');
    await ask();
    await clock.advance(TTL_MS);
    failWith('origin_unavailable');
    await expect(ask()).rejects.toMatchObject({ code: 'origin_unavailable' });
    expect(store.smallNames()).toEqual([]);
  });

  test('an origin that is silent is waited for 10 s, not for all its attempts', async () => {
    const { clock, origin, ask, listings } = open();
    origin.put('bucket', 'a', 'body');
    await ask();
    await clock.advance(TTL_MS);
    origin.headGate.hold();
    const startedMs = clock.now();
    const { stale } = await whileTimePasses(clock, listings.list('bucket', ALL, NEVER));
    expect([stale, clock.now() - startedMs]).toEqual([true, 10_000]);
    origin.headGate.release();
  });

  test('the clients after one that waited for a silent origin do not wait, but for one every 5 s', async () => {
    const { clock, origin, ask, list } = open();
    origin.put('bucket', 'a', 'body');
    await ask();
    await ask({ maxKeys: 5 });
    await clock.advance(TTL_MS);
    origin.headGate.hold();
    await ask();
    const waits: number[] = [];
    for (const query of [{}, { maxKeys: 5 }, {}]) {
      const startedMs = clock.now();
      expect(await ask(query)).toMatchObject({ stale: true });
      waits.push(clock.now() - startedMs);
    }
    expect(Math.max(...waits)).toBeLessThan(1_000);
    origin.headGate.release();
    await clock.advance(5_000);
    origin.put('bucket', 'b', 'body');
    expect(namesOf(await list())).toEqual(['a', 'b']);
  });

  test('the origin’s next answer is served, not the old page', async () => {
    const { clock, origin, list, ask, failWith } = open();
    origin.put('bucket', 'a', 'body');
    await list();
    await clock.advance(TTL_MS);
    failWith('origin_unavailable', 3);
    expect(await ask()).toMatchObject({ stale: true });
    origin.put('bucket', 'b', 'body');
    expect(namesOf(await list())).toEqual(['a', 'b']);
  });
});

describe('after a restart while the origin is down', () => {
  test('a page that was requested lately comes from the cachestore', async () => {
    const before = open();
    before.origin.put('bucket', 'a', 'body');
    await before.ask();
    await before.clock.advance(60_000);
    const after = open(before);
    after.failWith('origin_unavailable');
    const { page, stale, ageMs } = await after.ask();
    expect([namesOf(page), stale]).toEqual([['a'], true]);
    expect(ageMs).toBeGreaterThanOrEqual(60_000);
    // It is in memory now.
    const reads = before.store.counts.smallReads;
    expect(await after.ask()).toMatchObject({ stale: true });
    expect(before.store.counts.smallReads).toBe(reads);
  });

  test('a newer page of another replica is preferred to the own one', async () => {
    const one = open();
    const two = open({ clock: one.clock, store: one.store });
    for (const { origin } of [one, two]) origin.put('bucket', 'a', 'body');
    await one.ask();
    await one.clock.advance(120_000);
    two.origin.put('bucket', 'b', 'body');
    await two.ask();
    await one.clock.advance(60_000);
    one.failWith('origin_unavailable');
    expect(namesOf(await one.list())).toEqual(['a', 'b']);
  });
});

describe('a refused list', () => {
  test.for(['access_denied', 'bucket_not_found', 'origin_denied'] as const)(
    'is not answered with an earlier page in an outage (%s)',
    async (code) => {
      const { clock, store, origin, ask, failWith } = open();
      origin.put('bucket', 'a', 'body');
      await ask();
      await ask({ maxKeys: 1 });
      await clock.advance(TTL_MS);
      failWith(code, 1);
      await expect(ask()).rejects.toMatchObject({ code });
      await clock.advance(TTL_MS);
      failWith('origin_unavailable');
      await expect(ask()).rejects.toMatchObject({ code: 'origin_unavailable' });
      // Other pages of the same prefix are refused too.
      await expect(ask({ maxKeys: 1 })).rejects.toMatchObject({ code: 'origin_unavailable' });
      // Nor after a restart, nor by another replica.
      const other = open({ clock, store });
      other.failWith('origin_unavailable');
      await expect(other.ask()).rejects.toMatchObject({ code: 'origin_unavailable' });
    },
  );

  test('is not answered by another replica from its memory either', async () => {
    const one = open();
    const two = open({ clock: one.clock, store: one.store });
    for (const { origin } of [one, two]) origin.put('bucket', 'a', 'body');
    await one.ask();
    await two.ask();
    await one.clock.advance(60_000);
    one.failWith('access_denied', 1);
    await expect(one.ask()).rejects.toMatchObject({ code: 'access_denied' });
    await one.clock.advance(60_000);
    two.failWith('origin_unavailable');
    await expect(two.ask()).rejects.toMatchObject({ code: 'origin_unavailable' });
  });

  test('does not affect lists of other prefixes', async () => {
    const { clock, origin, ask, failWith } = open();
    origin.put('bucket', 'a', 'body');
    await ask({ prefix: 'a' });
    await clock.advance(TTL_MS);
    failWith('access_denied', 1);
    await expect(ask({ prefix: 'b' })).rejects.toMatchObject({ code: 'access_denied' });
    failWith('origin_unavailable');
    expect(await ask({ prefix: 'a' })).toMatchObject({ stale: true });
  });
});

describe('an error', () => {
  test.for(['bucket_not_found', 'access_denied'] as const)('%s is kept for the TTL', async (code) => {
    const { clock, origin, requests, list } = open();
    origin.createBucket('bucket');
    origin.inject({ on: 'list', what: new OrcaError(code, 'injected') });
    for (let attempt = 0; attempt < 3; attempt++) await expect(list()).rejects.toMatchObject({ code });
    expect(requests).toHaveLength(1);
    await clock.advance(TTL_MS);
    expect(namesOf(await list())).toEqual([]);
  });

  test('that may be temporary is not kept', async () => {
    const { origin, requests, list } = open();
    origin.createBucket('bucket');
    origin.inject({ on: 'list', what: new OrcaError('origin_unavailable', 'injected'), times: 3 });
    await expect(list()).rejects.toMatchObject({ code: 'origin_unavailable' });
    expect(namesOf(await list())).toEqual([]);
    expect(requests).toHaveLength(4);
  });
});

describe('the prefix of a bucket rule', () => {
  test('is put in front of the names in a query, and removed from the page', () => {
    expect(underPrefix('p/', { ...ALL, prefix: 'a', after: 'b' })).toEqual({ ...ALL, prefix: 'p/a', after: 'p/b' });
    expect(underPrefix('p/', ALL)).toEqual({ ...ALL, prefix: 'p/', after: '' });
    const entry = { key: 'p/k', etag: 'e', sizeBytes: 1, lastModifiedMs: 0, storageClass: 'STANDARD' };
    const page: ListPage = { items: [prefixItem('p/d/'), { kind: 'object', entry }], truncated: true };
    expect(withoutPrefix('p/', page)).toEqual({
      items: [prefixItem('d/'), { kind: 'object', entry: { ...entry, key: 'k' } }],
      truncated: true,
    });
  });

  test('changes nothing when it is empty', () => {
    const page = pageOf(1);
    expect([underPrefix('', ALL), withoutPrefix('', page)]).toEqual([ALL, page]);
  });

  test('protects other prefixes: a listed name outside it is an origin error', () => {
    expect(() => withoutPrefix('p/', pageOf(1, 'q/d/'))).toThrow(
      expect.objectContaining({ code: 'origin_unavailable' }),
    );
  });
});
