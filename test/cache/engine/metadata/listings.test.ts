import { describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ListItem, ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import { Listings, underPrefix, withoutPrefix } from '#cache/engine/metadata/listings.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { countingObserver, emptyCounts, whileTimePasses } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const NEVER = new AbortController().signal;
const TTL_MS = 5_000;
const ALL: ListQuery = { prefix: '', delimiter: '', after: '', maxKeys: 1_000 };

function open({ ttlMs = TTL_MS, pages }: { readonly ttlMs?: number; readonly pages?: Record<string, ListPage> } = {}) {
  const clock = fakeClock();
  const origin = fakeOrigin();
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
    observer: countingObserver(emptyCounts()),
    random: () => 0.5,
    retry: { attempts: 3, backoffInitialMs: 1, backoffMaxMs: 2, maxTotalDurationMs: 5_000 },
    ttlMs,
  });
  const list = (more: Partial<ListQuery> = {}, signal = NEVER) =>
    whileTimePasses(clock, listings.list('bucket', { ...ALL, ...more }, signal));
  return { clock, origin, requests, listings, list };
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
    for (const page of await whileTimePasses(clock, Promise.all(pages))) expect(namesOf(page)).toEqual(['k']);
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
    expect(namesOf(await whileTimePasses(clock, other))).toEqual(['k']);
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

  test('is dropped when the items of all pages exceed 100 000, the least recently used page first', async () => {
    const { requests, list } = open({
      ttlMs: 600_000,
      pages: { a: pageOf(40_000), b: pageOf(40_000), c: pageOf(30_000) },
    });
    for (const prefix of ['a', 'b', 'a', 'c']) await list({ prefix });
    expect(requests).toEqual(['a', 'b', 'c']);
    for (const prefix of ['a', 'c', 'b']) await list({ prefix });
    expect(requests).toEqual(['a', 'b', 'c', 'b']);
  });

  test('weighs more if its names are long', async () => {
    const page = pageOf(500, 'x'.repeat(100 * 256));
    const { requests, list } = open({ ttlMs: 600_000, pages: { a: page, b: page } });
    for (const prefix of ['a', 'b', 'b', 'a']) await list({ prefix });
    expect(requests).toEqual(['a', 'b', 'a']);
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
