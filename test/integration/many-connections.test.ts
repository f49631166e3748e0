/**
 * A real process with thousands of idle or very slow connections: other clients are served, and the memory of the
 * connections is bounded.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCacheProcess, type CacheProcess } from '#test/support/cache-process.ts';
import { openIdleConnections } from '#test/support/idle-connections.ts';
import { http, sha256 } from '#test/support/http.ts';
import { startSyntheticOrigin, startSyntheticStore } from '#test/support/synthetic-s3.ts';
import { until } from '#test/support/until.ts';

const MIB = 1024 * 1024;
const BUCKET = 'models';
const CONNECTIONS = 10_000;
/** Connections beside the idle ones: origin, store, probes, listeners. */
const FEW = 50;
/** Maximum memory of an idle connection; an HTTP parser and two streams take about 15 KiB. */
const BYTES_EACH = 40 * 1024;
const KEY = `${MIB}-object`;
/** Generous for a busy machine. */
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
  test('are kept up to the limit, for a few KiB each, and other clients are served', async () => {
    await using cache = await start({ maxConnections: CONNECTIONS + 1_000 });
    await expectServed(cache, 1);
    const before = await cache.residentBytes();
    // Each has had its answer, and waits as an SDK's would: the others would be closed for want of headers.
    using idle = await openIdleConnections(
      cache.edge,
      CONNECTIONS,
      `HEAD /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    await until(() => idle.heard.length >= 10_000, 'they have been answered', LONG_MS);
    expect(idle.open).toBe(CONNECTIONS);
    await expectServed(cache, 20);
    expect(await cache.sockets()).toBeGreaterThan(CONNECTIONS);
    const each = ((await cache.residentBytes()) - before) / CONNECTIONS;
    expect(each).toBeLessThan(BYTES_EACH);
    idle[Symbol.dispose]();
    await expect.poll(() => cache.sockets(), { timeout: LONG_MS, interval: 200 }).toBeLessThan(FEW);
    await expectServed(cache, 1);
  });

  test('are closed above the limit, oldest idle first, and other clients are served', async () => {
    const most = 1_000;
    await using cache = await start({ maxConnections: most });
    await expectServed(cache, 1);
    using idle = await openIdleConnections(cache.edge, CONNECTIONS);
    await expectServed(cache, 20);
    expect(await cache.sockets()).toBeLessThan(most + FEW);
    expect(idle.open).toBeLessThan(most + FEW);
    // No connection was busy, so no client was refused.
    expect(idle.heard).toBe('');
    const shed = (reason: string) => cache.metric('orca_connections_shed_total', { listener: 'edge', reason });
    expect(await shed('idle_evicted')).toBeGreaterThan(CONNECTIONS - most - FEW);
    expect(await shed('refused')).toBe(0);
  });
});

test('a client that sends its headers byte by byte is disconnected, and keeps no other client out meanwhile', async () => {
  await using cache = await start({ maxConnections: 500 });
  await expectServed(cache, 1);
  using idle = await openIdleConnections(cache.edge, 2_000, `GET /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\nX-Slow: `);
  while (idle.open > 0) {
    idle.say('x');
    await expectServed(cache, 5);
    expect(await cache.sockets()).toBeLessThan(500 + FEW);
  }
  expect(idle.heard).toBe('');
});

test('a client that sends an unwanted body byte by byte is disconnected too', async () => {
  await using cache = await start({ maxConnections: 500 });
  using idle = await openIdleConnections(
    cache.edge,
    300,
    `PUT /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`,
  );
  while (idle.open > 0) {
    idle.say('x');
    await expectServed(cache, 5);
  }
  expect(idle.heard).toContain('HTTP/1.1 405 ');
});

test('a client that pipelines a hundred thousand requests is disconnected, and takes little memory', async () => {
  await using cache = await start({});
  await expectServed(cache, 1);
  const before = await cache.peakBytes();
  const flood = `GET /${BUCKET}/${KEY} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(100_000);
  using idle = await openIdleConnections(cache.edge, 5, flood);
  await until(() => idle.open === 0, 'they are disconnected', LONG_MS);
  expect((await cache.peakBytes()) - before).toBeLessThan(150 * MIB);
  await expectServed(cache, 5);
});
