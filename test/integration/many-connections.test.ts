/**
 * A real process with thousands of connections on it that want nothing, or want it very slowly: who wants something is
 * served meanwhile, and what they cost is bounded.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCacheProcess, type CacheProcess } from '#test/support/cache-process.ts';
import { gatherCrowd } from '#test/support/crowd.ts';
import { http, sha256 } from '#test/support/http.ts';
import { startSyntheticOrigin, startSyntheticStore } from '#test/support/synthetic-s3.ts';
import { until } from '#test/support/until.ts';

const MIB = 1024 * 1024;
const BUCKET = 'models';
const CROWD = 10_000;
/** Beside those of the crowd: origin, store, probes, listeners. */
const FEW = 50;
/** What an idle connection may cost the process; its share of a HTTP parser and of two streams is some 15 KiB. */
const BYTES_EACH = 40 * 1024;
const KEY = `${MIB}-object`;
/** A busy machine is slow, not wrong. */
const LONG_MS = 100_000;

const parts = new AsyncDisposableStack();
let start: (edge: Readonly<Record<string, unknown>>) => Promise<CacheProcess>;

beforeAll(async () => {
  const origin = parts.use(await startSyntheticOrigin());
  const store = parts.use(await startSyntheticStore());
  start = async (edge) =>
    startCacheProcess({
      originEndpoint: origin.endpoint,
      storeEndpoint: store.endpoint,
      originId: 'far',
      bucket: BUCKET,
      chunkSize: '1Mi',
      budget: '64Mi',
      edge,
    });
});
afterAll(() => parts.disposeAsync());

/** Every byte of the object, on a new connection each time. */
async function expectServed(cache: CacheProcess, times: number): Promise<void> {
  const wanted = sha256((await http(cache.edge, `/${BUCKET}/${KEY}`)).body);
  for (let time = 0; time < times; time++) {
    const { status, body, complete } = await http(cache.edge, `/${BUCKET}/${KEY}`);
    expect([status, complete, body.length, sha256(body)]).toEqual([200, true, MIB, wanted]);
  }
}

describe('10 000 idle connections', () => {
  test('are held where so many are allowed, for a few KiB each, and all others are served', async () => {
    await using cache = await start({ maxConnections: CROWD + 1_000 });
    await expectServed(cache, 1);
    const before = await cache.residentBytes();
    // Each has had its answer, and waits as an SDK's would: the others would be closed for want of headers.
    using crowd = await gatherCrowd(cache.edge, CROWD, `HEAD /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => crowd.heard.length >= 10_000, 'they have been answered', LONG_MS);
    expect(crowd.open).toBe(CROWD);
    await expectServed(cache, 20);
    expect(await cache.sockets()).toBeGreaterThan(CROWD);
    const each = ((await cache.residentBytes()) - before) / CROWD;
    expect(each).toBeLessThan(BYTES_EACH);
    crowd[Symbol.dispose]();
    await expect.poll(() => cache.sockets(), { timeout: LONG_MS, interval: 200 }).toBeLessThan(FEW);
    await expectServed(cache, 1);
  });

  test('make way where fewer are allowed: never more are held, and all others are served', async () => {
    const most = 1_000;
    await using cache = await start({ maxConnections: most });
    await expectServed(cache, 1);
    using crowd = await gatherCrowd(cache.edge, CROWD);
    await expectServed(cache, 20);
    expect(await cache.sockets()).toBeLessThan(most + FEW);
    expect(crowd.open).toBeLessThan(most + FEW);
    // Nobody was busy, so nobody was refused.
    expect(crowd.heard).toBe('');
    const shed = (reason: string) => cache.metric('orca_connections_shed_total', { listener: 'edge', reason });
    expect(await shed('idle_evicted')).toBeGreaterThan(CROWD - most - FEW);
    expect(await shed('refused')).toBe(0);
  });
});

test('who sends its headers byte by byte is let go, and keeps nobody out meanwhile', async () => {
  await using cache = await start({ maxConnections: 500 });
  await expectServed(cache, 1);
  using crowd = await gatherCrowd(cache.edge, 2_000, `GET /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\nX-Slow: `);
  while (crowd.open > 0) {
    crowd.say('x');
    await expectServed(cache, 5);
    expect(await cache.sockets()).toBeLessThan(500 + FEW);
  }
  expect(crowd.heard).toBe('');
});

test('who sends a body that nobody wants byte by byte is let go too', async () => {
  await using cache = await start({ maxConnections: 500 });
  using crowd = await gatherCrowd(
    cache.edge,
    300,
    `PUT /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`,
  );
  while (crowd.open > 0) {
    crowd.say('x');
    await expectServed(cache, 5);
  }
  expect(crowd.heard).toContain('HTTP/1.1 405 ');
});

test('who pipelines a hundred thousand requests is let go, for no more than a little memory', async () => {
  await using cache = await start({});
  await expectServed(cache, 1);
  const before = await cache.peakBytes();
  const flood = `GET /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(100_000);
  using crowd = await gatherCrowd(cache.edge, 5, flood);
  await until(() => crowd.open === 0, 'they are let go', LONG_MS);
  expect((await cache.peakBytes()) - before).toBeLessThan(150 * MIB);
  await expectServed(cache, 5);
});
