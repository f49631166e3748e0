/** What the cachestore holds is counted and bounded, by real stores: accounts, superseded versions, missing permissions. */
import { stat } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import type { Passed } from '#test/support/fault-proxy.ts';
import { http, sha256 } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  ORIGIN_BUCKET,
  startReplicas,
  type Replica,
  type Replicas,
  type ReplicasOptions,
} from '#test/support/replicas.ts';

/** Each waits for a few sweeps, and for reports in between. */
const LIMIT_MS = 60_000;
const SHORT = { 'cacheStore.minAge': '1s', 'cacheStore.sweepInterval': '10s', 'metadata.ttl': '1s' };

async function start(options: ReplicasOptions, changes: Readonly<Record<string, unknown>> = {}): Promise<Replicas> {
  const cache = await startReplicas({ replicas: 2, ...options, changes: { ...SHORT, ...changes } });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

async function read({ edge }: Replica, key: string): Promise<string> {
  const { status, complete, body } = await http(edge, `/${BUCKET}/${key}`);
  expect(status).toBe(200);
  expect(complete).toBe(true);
  return sha256(body);
}

async function json(replica: Replica, path: string): Promise<Record<string, unknown>> {
  const { status, body } = await http(replica.ops, path);
  expect(status).toBe(200);
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

/** What really lies there. */
async function storedFigures(cache: Replicas): Promise<{ usedBytes: number; chunks: number }> {
  const files = [...(await cache.stored()).values()];
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return { usedBytes: sizes.reduce((sum, size) => sum + size, 0), chunks: files.length };
}

async function usedBytes(cache: Replicas): Promise<number> {
  return (await storedFigures(cache)).usedBytes;
}

function versions(stored: ReadonlyMap<string, string>): number {
  return new Set([...stored.keys()].map((path) => path.split('/')[1])).size;
}

describe.for(['S3', 'Filesystem'] as const)('a store of type %s', (store) => {
  test('has one version of an object that was overwritten three times', async () => {
    const cache = await start({ store });
    for (const seed of [1, 2, 3, 4]) {
      const body = patternBytes(3 * MIB, seed);
      await cache.put('a', body);
      for (const replica of cache.all)
        await expect.poll(() => read(replica, 'a'), { timeout: LIMIT_MS, interval: 100 }).toBe(sha256(body));
      await cache.idle();
    }
    await expect.poll(async () => versions(await cache.stored()), { timeout: LIMIT_MS }).toBe(1);
    expect((await cache.stored()).size).toBe(3);
    // The bytes are counted when the cachestore has responded, which is after the chunks are deleted.
    await expect
      .poll(() => cache.total('orca_store_evicted_bytes_total', { reason: 'superseded' }), { timeout: LIMIT_MS })
      .toBeGreaterThanOrEqual(9 * MIB);
    // The chunks of the current one are still there.
    cache.forgetMemory();
    const { requests } = await cache.originProxy.counts('GET');
    for (const replica of cache.all) expect(await read(replica, 'a')).toBe(sha256(patternBytes(3 * MIB, 4)));
    expect((await cache.originProxy.counts('GET')).requests).toBe(requests);
  });

  test('is counted exactly, and all replicas report the same', async () => {
    const cache = await start({ store });
    for (const seed of [1, 2, 3, 4, 5]) {
      await cache.put(`object-${seed}`, patternBytes(seed * MIB + seed, seed));
      await read(cache.all[seed % 2]!, `object-${seed}`);
    }
    await cache.idle();
    const real = await storedFigures(cache);
    expect(real.chunks).toBe(20);
    for (const replica of cache.all) {
      await expect
        .poll(() => json(replica, '/store'), { timeout: LIMIT_MS, interval: 100 })
        .toMatchObject({ state: 'ok', coveredShards: 256, ...real, byBucket: { [ORIGIN_BUCKET]: real.usedBytes } });
      expect((await json(replica, '/status'))['capacity']).toMatchObject({ state: 'ok', ...real });
      expect(await replica.metric('orca_store_used_bytes')).toBe(real.usedBytes);
      expect(await replica.metric('orca_store_chunks')).toBe(real.chunks);
      expect(await replica.metric('orca_store_state', { state: 'ok' })).toBe(1);
    }
  });

  test('shrinks to its capacity, and what was evicted is filled again', async () => {
    const cache = await start({ store }, { 'cacheStore.capacity': '20Mi' });
    const bodies = Array.from({ length: 10 }, (_, seed) => patternBytes(4 * MIB, seed));
    for (const [index, body] of bodies.entries()) {
      await cache.put(`object-${index}`, body);
      expect(await read(cache.all[index % 2]!, `object-${index}`)).toBe(sha256(body));
    }
    await cache.idle();
    await expect.poll(() => usedBytes(cache), { timeout: LIMIT_MS, interval: 100 }).toBeLessThanOrEqual(18 * MIB);
    cache.forgetMemory();
    for (const [index, body] of bodies.entries())
      expect(await read(cache.all[index % 2]!, `object-${index}`)).toBe(sha256(body));
    await cache.idle();
    await expect.poll(() => usedBytes(cache), { timeout: LIMIT_MS, interval: 100 }).toBeLessThanOrEqual(18 * MIB);
    expect(await cache.total('orca_store_refilled_bytes_total')).toBeGreaterThan(0);
    expect(await cache.total('orca_source_fallbacks_total', { reason: 'store_unavailable' })).toBe(0);
  });
});

const isList = ({ method, target }: Passed): boolean => method === 'GET' && target.includes('list-type=2');
const isDeletion = ({ method, target }: Passed): boolean =>
  method === 'DELETE' || (method === 'POST' && target.includes('delete'));

describe.for([
  ['list', isList],
  ['delete', isDeletion],
] as const)('credentials that may not %s', ([what, when]) => {
  test('are reported once, and everything else works', async () => {
    const cache = await start({}, { 'cacheStore.capacity': '5Mi' });
    cache.storeProxy.inject({ when, action: { kind: 'answer', status: 403 } });
    const bodies = Array.from({ length: 5 }, (_, seed) => patternBytes(4 * MIB, seed));
    const readAll = async (): Promise<void> => {
      for (const [index, body] of bodies.entries())
        for (const replica of cache.all) expect(await read(replica, `object-${index}`)).toBe(sha256(body));
    };
    for (const [index, body] of bodies.entries()) await cache.put(`object-${index}`, body);
    await readAll();
    await cache.idle();
    for (const replica of cache.all)
      await expect
        .poll(() => json(replica, '/store'), { timeout: LIMIT_MS, interval: 100 })
        .toMatchObject({
          state: what === 'list' ? 'counting' : 'over_capacity',
          blocked: expect.stringContaining(`the cachestore does not permit to ${what}`),
        });
    // More are refused. One replica may own all the shards, and it pauses for 5, 10, 20 ... s after each refusal.
    const { hits } = cache.storeProxy;
    await expect.poll(() => cache.storeProxy.hits, { timeout: LIMIT_MS, interval: 100 }).toBeGreaterThan(hits + 1);
    cache.forgetMemory();
    await readAll();
    expect((await cache.stored()).size).toBe(20);
    expect(await cache.total('orca_breaker_open', { name: 'store' })).toBe(0);
    for (const { logLines } of cache.all)
      expect(logLines.filter((line) => line.includes('nothing can be evicted')).length).toBeLessThanOrEqual(1);
    expect(cache.all.flatMap(({ logLines }) => logLines).filter((line) => line.includes('sweep'))).toEqual([]);
    // Once it is permitted, it is done without a restart.
    cache.storeProxy.reset();
    await expect.poll(() => usedBytes(cache), { timeout: LIMIT_MS, interval: 100 }).toBeLessThanOrEqual(5 * MIB);
    for (const replica of cache.all)
      await expect
        .poll(() => json(replica, '/store'), { timeout: LIMIT_MS, interval: 100 })
        .toEqual(expect.not.objectContaining({ blocked: expect.anything() }));
    for (const replica of cache.all) expect(await json(replica, '/store')).toMatchObject({ state: 'ok' });
  });
});
