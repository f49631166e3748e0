/** A cachestore on a disk that is smaller than what clients read: readers see no error, and commits continue. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { http } from '#test/support/http.ts';
import { BUCKET, MIB, startReplicas, STORE_BUCKET, type Replicas } from '#test/support/replicas.ts';
import { startSmallDisk, type SmallDisk } from '#test/support/small-disk.ts';
import { isSynthetic } from '#test/support/synthetic-content.ts';
import { startSyntheticOrigin } from '#test/support/synthetic-s3.ts';
import { startVersitygw } from '#test/support/versitygw.ts';

const DISK_BYTES = 512 * MIB;
const OBJECT_BYTES = 16 * MIB;
const CHUNK_BYTES = 4 * MIB;
const OBJECTS = (2048 * MIB) / OBJECT_BYTES;
/** 640 MiB. */
const FIRST_OBJECTS = 40;
const READERS = 2;
/** What two cores can pass on to two replicas and the store, with time left for sweeps. */
const ORIGIN_BYTES_PER_SECOND = 50 * MIB;
/** A store that was full gets no more room for a minute. As much again is for a sweep on a busy machine. */
const FULL_LIMIT_MS = 120_000;
const LOOK_MS = 100;
/** About three times as long as each step takes on a busy machine. */
const LIMIT_MS = 200_000;

const SHORT = { 'cacheStore.minAge': '1s', 'cacheStore.sweepInterval': '10s' };

async function startS3(disk: SmallDisk, originEndpoint: string): Promise<Replicas> {
  const store = await startVersitygw({ directory: disk.directory, buckets: [STORE_BUCKET] });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const storeDirectory = join(disk.directory, STORE_BUCKET);
  return startOn({ storeEndpoint: store.endpoint, storeDirectory, originEndpoint });
}

async function startOn(options: Parameters<typeof startReplicas>[0]): Promise<Replicas> {
  const cache = await startReplicas({ replicas: 2, chunkSize: '4Mi', changes: SHORT, ...options });
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

/** Reads all objects, each from one of the replicas. Returns what was wrong. */
async function readAll(cache: Replicas, keys: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  const left = [...keys.entries()];
  const reader = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, key] = next;
      const { edge } = cache.all[index % cache.all.length]!;
      const { status, complete, body } = await http(edge, `/${BUCKET}/${key}`);
      const isRight = status === 200 && complete && body.length === OBJECT_BYTES && isSynthetic(key, 0, body);
      if (!isRight) problems.push(`${key}: status ${status}, ${body.length} bytes`);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return problems;
}

/** Looks at the disk until the signal aborts. Resolves to the longest time without room for a chunk. */
async function longestFullMs(disk: SmallDisk, signal: AbortSignal): Promise<number> {
  let longestMs = 0;
  let sinceMs: number | undefined;
  while (!signal.aborted) {
    const isFull = (await disk.freeBytes()) < CHUNK_BYTES;
    const nowMs = performance.now();
    sinceMs = isFull ? (sinceMs ?? nowMs) : undefined;
    if (sinceMs !== undefined) longestMs = Math.max(longestMs, nowMs - sinceMs);
    await delay(LOOK_MS);
  }
  return longestMs;
}

const committed = (cache: Replicas): Promise<number> => cache.total('orca_committed_bytes_total');
const evicted = (cache: Replicas): Promise<number> => cache.total('orca_store_evicted_bytes_total');

describe.for(['S3', 'Filesystem'] as const)('a store of type %s with 512 MiB', (kind) => {
  test('2 GiB are read without an error, and commits go on', { timeout: 480_000 }, async () => {
    const disk = await startSmallDisk(DISK_BYTES);
    onTestFinished(() => disk[Symbol.asyncDispose]());
    await using origin = await startSyntheticOrigin({ lineBytesPerSecond: ORIGIN_BYTES_PER_SECOND });
    const cache =
      kind === 'S3'
        ? await startS3(disk, origin.endpoint)
        : await startOn({
            store: 'Filesystem',
            storeDirectory: join(disk.directory, 'store'),
            originEndpoint: origin.endpoint,
          });
    const keys = Array.from({ length: OBJECTS }, (_, index) => `${OBJECT_BYTES}-${index}`);
    const watching = new AbortController();
    const fullMs = longestFullMs(disk, watching.signal);
    onTestFinished(() => watching.abort());

    const more = { timeout: LIMIT_MS, interval: 100 };
    // More than fits.
    expect(await readAll(cache, keys.splice(0, FIRST_OBJECTS))).toEqual([]);
    await expect.poll(() => evicted(cache), more).toBeGreaterThan(0);
    const before = await committed(cache);
    expect(await readAll(cache, keys)).toEqual([]);
    await expect.poll(() => committed(cache), more).toBeGreaterThan(before + OBJECT_BYTES);
    // The last chunks are committed too, or given up: nothing waits for a store that remains full.
    await expect.poll(() => disk.freeBytes(), more).toBeGreaterThanOrEqual(CHUNK_BYTES);
    watching.abort();
    expect(await fullMs).toBeLessThan(FULL_LIMIT_MS);
    expect(await committed(cache)).toBeGreaterThan(DISK_BYTES);
    expect(await cache.total('orca_breaker_open', { name: 'store' })).toBe(0);
  });
});
