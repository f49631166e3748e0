/** Streams between replicas over real sockets: shared by concurrent readers, with either key, in chunks of either size. */
import { randomBytes } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { http, sha256, type HttpAnswer } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  startReplicas,
  type Replica,
  type Replicas,
  type ReplicasOptions,
} from '#test/support/replicas.ts';

async function start(options: ReplicasOptions): Promise<Replicas> {
  const cache = await startReplicas(options);
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

const read = (replica: Replica, key: string, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  http(replica.edge, `/${BUCKET}/${key}`, { headers });

describe('concurrent readers', () => {
  test('of 25 clients at each of three replicas costs each chunk one stream to each other replica', async () => {
    const cache = await start({ replicas: 3 });
    const body = patternBytes(8 * MIB);
    await cache.put('a', body);
    const wanted = sha256(body);
    const reads = cache.all.flatMap((replica) =>
      Array.from({ length: 25 }, async () => {
        const answer = await read(replica, 'a');
        return answer.complete && sha256(answer.body) === wanted;
      }),
    );
    expect(new Set(await Promise.all(reads))).toEqual(new Set([true]));
    expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(body.length);
    // A late reader may find the chunk in the cachestore, or fetch it again while it is being committed.
    const streams = await cache.total('orca_peer_requests_total', { outcome: 'bytes' });
    expect(streams).toBeGreaterThan(0);
    expect(streams).toBeLessThanOrEqual(4 * 2 * 8);
    await cache.expectNothingHeld();
    expect(await cache.total('orca_peer_streams')).toBe(0);
  });

  test('hears HIT of what another replica had in memory, and MISS only of what the origin had to send', async () => {
    const cache = await start({ replicas: 2, readahead: 0 });
    const [a, b] = cache.all as [Replica, Replica];
    // Some belong to the other replica; that none does has a chance of one in a million.
    const keys = Array.from({ length: 20 }, (_, index) => `object-${index}`);
    for (const key of keys) await cache.put(key, patternBytes(MIB));
    for (const key of keys) expect((await read(a, key)).headers['x-cache']).toBe('MISS');
    await cache.idle();
    const filledByPeer = await a.metric('orca_served_bytes_total', { source: 'peer_fill' });
    expect(filledByPeer).toBeGreaterThan(0);
    expect(await a.metric('orca_served_bytes_total', { source: 'fill' })).toBe(keys.length * MIB - filledByPeer);
    for (const key of keys) expect((await read(b, key)).headers['x-cache']).toBe('HIT');
    expect(await b.metric('orca_served_bytes_total', { source: 'peer' })).toBe(keys.length * MIB - filledByPeer);
    expect(await b.metric('orca_served_bytes_total', { source: 'memory' })).toBe(filledByPeer);
  });
});

describe('while the cluster’s secret is rotated', () => {
  const [old, next] = [randomBytes(32), randomBytes(32)];
  const HAS = {
    both: { key: next, previousKey: old },
    old: { key: old },
    new: { key: next },
  } as const;

  test.for([
    ['both', ['both', 'old', 'both']],
    ['both', ['both', 'new', 'both']],
    ['both', ['both', 'old', 'new']],
    ['old', ['old', 'both', 'both']],
    ['new', ['new', 'both', 'both']],
  ] as const)('a replica with %s is served by all of %j', async ([, has]) => {
    const cache = await start({ replicas: 3, peerKeysOf: (index) => HAS[has[index] ?? 'both'] });
    const body = patternBytes(12 * MIB);
    await cache.put('a', body);
    const [requester] = cache.all as [Replica, Replica, Replica];
    const answer = await read(requester, 'a');
    expect(sha256(answer.body)).toBe(sha256(body));
    expect(await requester.metric('orca_source_fallbacks_total', { source: 'coordinator' })).toBe(0);
    expect(await requester.metric('orca_source_fallbacks_total', { source: 'head' })).toBe(0);
    // Old and new refuse each other's reports.
    for (const call of ['/internal/fill', '/internal/head'])
      expect(await cache.total('orca_peer_requests_total', { call, outcome: 'unauthorized' })).toBe(0);
    expect(await requester.metric('orca_served_bytes_total', { source: 'peer_fill' })).toBeGreaterThan(0);
    expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(body.length);
  });
});

test('replicas of two configurations serve right bytes in chunks of 8 and of 16 MiB, each fetched once', async () => {
  const cache = await start({
    replicas: 3,
    readahead: 1,
    changes: (index) => ({ 'chunking.size': index === 0 ? '8Mi' : '16Mi' }),
  });
  const body = patternBytes(40 * MIB);
  await cache.put('a', body);
  const answers = await Promise.all([...cache.all, ...cache.all].map((replica) => read(replica, 'a')));
  for (const answer of answers) expect(sha256(answer.body)).toBe(sha256(body));
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(2 * body.length);
  await cache.idle();
  // Five chunks of 8 MiB, three of 16.
  expect((await cache.stored()).size).toBe(5 + 3);
  expect(await cache.total('orca_committed_bytes_total')).toBe(2 * body.length);
  await cache.expectNothingHeld();
});
