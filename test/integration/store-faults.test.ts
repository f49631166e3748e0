/** A cachestore that truncates, corrupts, loses, refuses or is down: clients read correct bytes, and no wrong byte stays stored. */
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { patternBytes } from '#test/support/engines.ts';
import { createGate } from '#test/support/gate.ts';
import { http, sha256 } from '#test/support/http.ts';
import {
  BUCKET,
  MIB,
  STORE_BUCKET,
  startReplicas,
  type Replicas,
  type ReplicasOptions,
} from '#test/support/replicas.ts';
import { until } from '#test/support/until.ts';
import { startVersitygw } from '#test/support/versitygw.ts';

async function start(options: ReplicasOptions): Promise<Replicas> {
  const cache = await startReplicas(options);
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

const path = (key: string): string => `/${BUCKET}/${key}`;
const isPut = ({ method }: { method: string }): boolean => method === 'PUT';

async function expectRead(cache: Replicas, index: number, key: string, body: Uint8Array): Promise<void> {
  const read = await http(cache.all[index]!.edge, path(key));
  expect(read.status).toBe(200);
  expect(read.complete).toBe(true);
  expect(sha256(read.body)).toBe(sha256(body));
}

describe('uploads', () => {
  test('one that is cut in the middle never becomes a chunk; the next try does', async () => {
    const cache = await start({});
    const body = patternBytes(MIB);
    await cache.put('a', body);
    cache.storeProxy.inject({ when: isPut, times: 1, action: { kind: 'cut-upload', afterBytes: 400_000 } });
    const gate = createGate();
    gate.hold();
    cache.storeProxy.inject({ when: isPut, times: 1, action: { kind: 'stall', afterBytes: 0, gate } });
    await expectRead(cache, 0, 'a', body);
    await gate.reached();
    // The second try is at the door: the store is as the cut left it.
    expect(await cache.stored()).toEqual(new Map());
    gate.release();
    await cache.idle();
    await until(() => cache.storeProxy.passed.findLast(isPut)?.status === 200, 'the second upload is done');
    cache.forgetMemory();
    await expectRead(cache, 0, 'a', body);
    expect((await cache.originProxy.counts('GET')).requests).toBe(1);
  });

  test('while every upload is cut nothing is stored, and reads go on', async () => {
    const cache = await start({});
    const body = patternBytes(2 * MIB);
    await cache.put('a', body);
    cache.storeProxy.inject({ when: isPut, action: { kind: 'cut-upload', afterBytes: 1_000_000 } });
    await expectRead(cache, 0, 'a', body);
    await expectRead(cache, 0, 'a', body);
    await until(() => cache.storeProxy.hits >= 4, 'each upload was tried more than once');
    expect(await cache.stored()).toEqual(new Map());
  });

  test('a store that refuses them costs the client nothing', async () => {
    const cache = await start({});
    const body = patternBytes(2 * MIB);
    await cache.put('a', body);
    cache.storeProxy.inject({ when: isPut, action: { kind: 'answer', status: 403 } });
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    await expectRead(cache, 0, 'a', body);
    expect(await cache.stored()).toEqual(new Map());
    expect(cache.all[0]!.logLines.join('')).toContain('commit');
    await cache.expectNothingHeld();
  });
});

describe.for(['S3', 'Filesystem'] as const)('stored chunks, with a store of type %s', (store) => {
  test('a flipped byte is found, never served, and repaired', async () => {
    const cache = await start({ store, replicas: 3 });
    const body = patternBytes(4 * MIB);
    await cache.put('a', body);
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    cache.forgetMemory();
    const files = [...(await cache.stored()).values()];
    expect(files).toHaveLength(4);
    const good = await Promise.all(files.map((file) => readFile(file)));
    for (const [index, file] of files.entries()) {
      const bytes = Buffer.from(good[index]!);
      bytes[700_000] = bytes[700_000]! ^ 0x01;
      // In place: versitygw keeps an object's metadata beside the file's bytes.
      await writeFile(file, bytes, { flag: 'r+' });
    }
    for (const index of [0, 1, 2]) await expectRead(cache, index, 'a', body);
    await cache.idle();
    for (const [index, file] of files.entries()) expect((await readFile(file)).equals(good[index]!)).toBe(true);
    await cache.expectNothingHeld();
  });

  test('a shortened chunk is found and repaired', async () => {
    const cache = await start({ store });
    const body = patternBytes(MIB);
    await cache.put('a', body);
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    cache.forgetMemory();
    const [file] = [...(await cache.stored()).values()];
    const good = await readFile(file!);
    await truncate(file!, 600_000);
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    expect((await readFile(file!)).equals(good)).toBe(true);
  });

  test('chunks that vanish are filled again, once each', async () => {
    const cache = await start({ store, replicas: 3 });
    const body = patternBytes(6 * MIB);
    await cache.put('a', body);
    for (const index of [0, 1, 2]) await expectRead(cache, index, 'a', body);
    await cache.idle();
    cache.forgetMemory();
    for (const file of (await cache.stored()).values()) await rm(file);
    await Promise.all([0, 1, 2].map((index) => expectRead(cache, index, 'a', body)));
    await cache.idle();
    expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(2 * body.length);
    expect((await cache.stored()).size).toBe(6);
    await cache.expectNothingHeld();
  });
});

describe('a store that is down', () => {
  test('costs no read, and has what is read later when it is back', async () => {
    const cache = await start({ replicas: 3 });
    const warm = patternBytes(3 * MIB, 1);
    const cold = patternBytes(3 * MIB, 2);
    await cache.put('warm', warm);
    await cache.put('cold', cold);
    await expectRead(cache, 0, 'warm', warm);
    await cache.idle();
    cache.forgetMemory();
    await cache.store.stop();
    await Promise.all(
      [0, 1, 2].flatMap((i) => [expectRead(cache, i, 'warm', warm), expectRead(cache, i, 'cold', cold)]),
    );
    await cache.store.start();
    const later = patternBytes(3 * MIB, 3);
    await cache.put('later', later);
    await Promise.all([0, 1, 2].map((index) => expectRead(cache, index, 'later', later)));
    await cache.expectNothingHeld();
  });

  test('in the middle of a response changes none of its bytes', async () => {
    const cache = await start({ readahead: 1 });
    const body = patternBytes(24 * MIB);
    await cache.put('a', body);
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    cache.forgetMemory();
    const read = await http(cache.all[0]!.edge, path('a'), { onHead: () => cache.store.stop() });
    expect(read.complete).toBe(true);
    expect(sha256(read.body)).toBe(sha256(body));
    expect(await cache.all[0]!.metric('orca_served_bytes_total', { source: 'store' })).toBeGreaterThan(0);
    expect((await cache.originProxy.counts('GET')).bodyBytes).toBeGreaterThan(body.length);
    await cache.store.start();
  });

  test.for([500, 503, 403])('or answers %d to every read serves from the origin', async (status) => {
    const cache = await start({});
    const body = patternBytes(2 * MIB);
    await cache.put('a', body);
    await expectRead(cache, 0, 'a', body);
    await cache.idle();
    cache.forgetMemory();
    cache.storeProxy.inject({ when: ({ method }) => method !== 'PUT', action: { kind: 'answer', status } });
    await expectRead(cache, 0, 'a', body);
    expect(cache.storeProxy.hits).toBeGreaterThan(0);
  });
});

test('chunks that are deleted at any time cost a refill each, and nothing else', async () => {
  const cache = await start({ replicas: 3 });
  const body = patternBytes(12 * MIB);
  await cache.put('a', body);
  await expectRead(cache, 0, 'a', body);
  await cache.idle();
  let deleted = 0;
  for (let round = 0; round < 8; round++) {
    cache.forgetMemory();
    const files = [...(await cache.stored()).values()];
    const doomed = files.filter((_, index) => (index + round) % 3 === 0);
    const reads = Promise.all([0, 1, 2].map((index) => expectRead(cache, index, 'a', body)));
    let isReading = true;
    const before = cache.storeProxy.passed.length;
    const deletions = doomed.map(async (file, index) => {
      // Before, while and after it is read.
      const isTime = (): boolean => !isReading || cache.storeProxy.passed.length >= before + 5 * index;
      await until(isTime, 'its moment has come', 60_000);
      await rm(file);
      deleted += 1;
    });
    await reads.finally(() => (isReading = false));
    await Promise.all(deletions);
    await cache.idle();
  }
  expect(deleted).toBeGreaterThan(8);
  // What is in memory is not looked for in the store.
  cache.forgetMemory();
  for (const index of [0, 1, 2]) await expectRead(cache, index, 'a', body);
  await cache.idle();
  expect((await cache.stored()).size).toBe(12);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBeLessThanOrEqual(body.length + deleted * MIB);
  await cache.expectNothingHeld();
});

test('a full store keeps what it has, and takes nothing from its readers', async () => {
  // Room for one object and a little, beside what the store writes for itself.
  await using full = await startVersitygw({ buckets: [STORE_BUCKET], diskBytes: 6 * MIB });
  const cache = await start({ replicas: 3, storeEndpoint: full.endpoint });
  const objects = [1, 2, 3, 4, 5, 6].map((seed) => ({ key: `object-${seed}`, body: patternBytes(4 * MIB, seed) }));
  for (const { key, body } of objects) await cache.put(key, body);
  const [kept] = objects;
  await expectRead(cache, 0, kept!.key, kept!.body);
  await cache.idle();
  await Promise.all(objects.flatMap(({ key, body }) => [0, 1, 2].map((index) => expectRead(cache, index, key, body))));
  expect(cache.storeProxy.passed.some(({ status }) => status === 507)).toBe(true);
  // Each byte came from the origin once, and what was stored before is still read from there.
  const all = objects.reduce((sum, { body }) => sum + body.length, 0);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(all);
  cache.forgetMemory();
  for (const index of [0, 1, 2]) await expectRead(cache, index, kept!.key, kept!.body);
  expect((await cache.originProxy.counts('GET')).bodyBytes).toBe(all);
  expect(await cache.total('orca_breaker_open', { name: 'store' })).toBe(0);
});
