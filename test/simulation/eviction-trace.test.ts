/**
 * Hours of reads through the real reports, ledgers, sweeps and accountant. The hit ratio is compared with that of an exact
 * LRU; test/cache/core/capacity/eviction-trace.test.ts does the same with longer traces, and the rule of eviction alone.
 */
import { expect, test } from 'vitest';
import { versionOf } from '#test/support/capacity.ts';
import { listedRoom, pathIn } from '#test/support/listed-room.ts';
import { ExactLru, readTrace } from '#test/support/read-trace.ts';

const CAPACITY = 1_000;
const READS = 10_000;
const WARM_AT = READS / 3;
const READ_MS = (8 * 60 * 60_000) / READS;
const MINUTE_MS = 60_000;
const CHUNKS_PER_VERSION = 8;

/** 10 s of CPU time. */
const TIMEOUT_MS = 120_000;

test(
  'reads of five times the capacity hit at least 0.95 times as often as with LRU',
  { timeout: TIMEOUT_MS },
  async () => {
    const { clock, store, counts, capacity } = listedRoom({ chunkBytes: 1, capacityBytes: CAPACITY });
    const lru = new ExactLru(CAPACITY);
    const stop = new AbortController();
    const running = capacity.run(stop.signal);
    const trace = { seed: 1, reads: READS, chunks: 5 * CAPACITY, exponent: 0.9, scanShare: 0.2, scanChunks: CAPACITY };
    let [read, hits, lruHits, largest, waitMs] = [0, 0, 0, 0, 0];
    for (const { chunk } of readTrace(trace)) {
      waitMs += READ_MS;
      if (waitMs >= MINUTE_MS) {
        await clock.advance(waitMs);
        waitMs = 0;
      }
      const [version, index] = [versionOf(Math.floor(chunk / CHUNKS_PER_VERSION)), chunk % CHUNKS_PER_VERSION];
      const isHit = store.has(version, index);
      if (!isHit) {
        store.put(version, index, clock.date());
        capacity.committed(pathIn(version, index), 1);
      }
      capacity.touch(pathIn(version, index), 'bucket');
      const isLruHit = lru.read(chunk);
      largest = Math.max(largest, store.chunks);
      if (++read <= WARM_AT) continue;
      if (isHit) hits++;
      if (isLruHit) lruHits++;
    }
    stop.abort();
    await running;
    expect(hits / lruHits).toBeGreaterThanOrEqual(0.95);
    expect(largest).toBeLessThanOrEqual(CAPACITY);
    expect(store.chunks).toBeLessThanOrEqual(0.95 * CAPACITY);
    expect(counts.evictedBytes['capacity']).toBeGreaterThan(CAPACITY);
    expect(counts.warnings).toEqual([]);
  },
);
