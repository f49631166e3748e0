/** `Cache-Control` of clients, over HTTP: which stored answers they get. */
import { afterEach, describe, expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { evictMemory } from '#test/support/engine-checks.ts';
import { openEngines, patternBytes } from '#test/support/engines.ts';
import { openTestEdge, type TestEdge } from '#test/support/test-edge.ts';

const edges: TestEdge[] = [];
afterEach(async () => {
  for (const edge of edges.splice(0)) await edge[Symbol.asyncDispose]();
});

async function open(options: { readonly ignoreCacheControl?: boolean } = {}) {
  const engines = openEngines({ chunkBytes: 64 * 1024 });
  engines.origin.put('far-models', 'a', patternBytes(1_000, 1));
  const edge = await openTestEdge(engines.replicas[0]!.engine, options);
  edges.push(edge);
  const ask = (cacheControl: string | undefined, method = 'GET', key = 'a', headers: Record<string, string> = {}) =>
    fetch(`${edge.url}/models/${key}`, {
      method,
      headers: { ...headers, ...(cacheControl !== undefined && { 'cache-control': cacheControl }) },
    });
  const sizeOf = async (...asked: Parameters<typeof ask>) => {
    const response = await ask(...asked);
    await response.arrayBuffer();
    return Number(response.headers.get('content-length'));
  };
  return { ...engines, ask, sizeOf };
}

describe.for(['GET', 'HEAD'])('%s', (method) => {
  test.for(['no-cache', 'max-age=0'])('with %s sees the current version at once', async (cacheControl) => {
    const { origin, sizeOf } = await open();
    expect(await sizeOf(undefined, method)).toBe(1_000);
    origin.put('far-models', 'a', patternBytes(2_000, 2));
    expect(await sizeOf(undefined, method)).toBe(1_000);
    expect(await sizeOf(cacheControl, method)).toBe(2_000);
    expect(await sizeOf('max-age=60', method)).toBe(2_000);
    expect(origin.counts.heads).toBe(2);
  });

  test('with only-if-cached never queries the origin', async () => {
    const { origin, store, replicas, ask, ...engines } = await open();
    const cold = await ask('only-if-cached', method);
    expect(cold.status).toBe(504);
    if (method === 'GET') expect(await cold.text()).toContain('<Code>GatewayTimeout</Code>');
    expect(origin.counts).toMatchObject({ heads: 0, reads: 0 });
    await (await ask(undefined)).arrayBuffer();
    await replicas[0]!.engine.flush(AbortSignal.timeout(5_000));
    evictMemory({ ...engines, origin, store, replicas });
    const warm = await ask('only-if-cached', method);
    expect([warm.status, warm.headers.get('content-length')]).toEqual([200, '1000']);
    await warm.arrayBuffer();
    expect((await ask('only-if-cached, no-cache', method)).status).toBe(504);
    expect(origin.counts).toMatchObject({ heads: 1, reads: 1 });
  });
});

test('an object that was missing is found with no-cache', async () => {
  const { origin, ask } = await open();
  expect((await ask(undefined, 'HEAD', 'b')).status).toBe(404);
  origin.put('far-models', 'b', 'x');
  expect((await ask(undefined, 'HEAD', 'b')).status).toBe(404);
  expect((await ask('only-if-cached', 'HEAD', 'b')).status).toBe(404);
  expect((await ask('no-cache', 'HEAD', 'b')).status).toBe(200);
});

test('only-if-cached answers a range whose chunks are stored, and no other', async () => {
  const { origin, ask, replicas } = await open();
  origin.put('far-models', 'big', patternBytes(200_000, 3));
  await (await ask(undefined, 'GET', 'big', { range: 'bytes=0-65535' })).arrayBuffer();
  await replicas[0]!.engine.idle();
  const stored = await ask('only-if-cached', 'GET', 'big', { range: 'bytes=10-60000' });
  expect([stored.status, (await stored.arrayBuffer()).byteLength]).toEqual([206, 59_991]);
  const { reads } = origin.counts;
  expect((await ask('only-if-cached', 'GET', 'big', { range: 'bytes=199990-' })).status).toBe(504);
  expect(origin.counts.reads).toBe(reads);
});

test('while the origin is down, no-cache gets the known version, marked as stale', async () => {
  const { origin, ask } = await open();
  await (await ask(undefined)).arrayBuffer();
  origin.inject({ on: 'head', what: new OrcaError('origin_unavailable', 'down'), times: 100 });
  const response = await ask('no-cache');
  expect([response.status, response.headers.get('x-cache')]).toEqual([200, 'STALE']);
  await response.arrayBuffer();
});

test('edge.ignoreClientCacheControl turns all of it off', async () => {
  const { origin, sizeOf } = await open({ ignoreCacheControl: true });
  expect(await sizeOf('only-if-cached')).toBe(1_000);
  origin.put('far-models', 'a', patternBytes(2_000, 2));
  expect(await sizeOf('no-cache')).toBe(1_000);
  expect(origin.counts.heads).toBe(1);
});
