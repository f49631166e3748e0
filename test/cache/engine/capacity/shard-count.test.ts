import { describe, expect, it } from 'vitest';
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { ShardCount, type CountedChunk } from '#cache/engine/capacity/shard-count.ts';
import { MINUTE_MS } from '#test/support/capacity-room.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const NOW_MINUTE = minuteOf(NOW_MS);

function chunk(low: number, more: Partial<CountedChunk> = {}): CountedChunk {
  return {
    high: 1,
    low,
    sizeBytes: 10,
    modifiedMs: NOW_MS - 60 * MINUTE_MS,
    minute: NOW_MINUTE - 60,
    isProven: false,
    bucket: 'b',
    ...more,
  };
}

describe('what a shard holds', () => {
  it('is what its sweep has found', () => {
    const count = new ShardCount(NOW_MS);
    count.add(chunk(1), 'evictable', false);
    count.add(chunk(2), 'pinned', false);
    count.add(chunk(3, { bucket: 'c', modifiedMs: NOW_MS }), 'young', true);
    count.addForeign();
    const summary = count.summary(NOW_MS, 5 * MINUTE_MS);
    expect(summary).toMatchObject({ bytes: 30, chunks: 3, pinnedBytes: 10, foreignNames: 1 });
    expect([...summary.byBucket]).toEqual([
      ['b', 20],
      ['c', 10],
    ]);
    expect(summary.evictable.totalBytes).toBe(10);
  });

  it('may be evicted once it is old enough', () => {
    const count = new ShardCount(NOW_MS);
    count.add(chunk(1, { modifiedMs: NOW_MS }), 'young', true);
    count.commit({ high: 1, low: 2, shard: 0, sizeBytes: 5 }, NOW_MINUTE);
    const evictable = (afterMs: number) => count.summary(NOW_MS + afterMs, 5 * MINUTE_MS).evictable.totalBytes;
    // To the minute, and never too early.
    expect([evictable(5 * MINUTE_MS), evictable(6 * MINUTE_MS)]).toEqual([0, 15]);
    expect(count.summary(undefined, 0).bytes).toBe(15);
  });

  it('has a commit once, whether the sweep has seen its chunk or not', () => {
    const count = new ShardCount(NOW_MS);
    count.add(chunk(7), 'young', true);
    count.commit({ high: 1, low: 7, shard: 0, sizeBytes: 10 }, NOW_MINUTE);
    count.commit({ high: 1, low: 8, shard: 0, sizeBytes: 10 }, NOW_MINUTE);
    expect(count.summary(NOW_MS, 0)).toMatchObject({ bytes: 20, chunks: 2 });
  });

  it('has no chunk that was deleted', () => {
    const count = new ShardCount(NOW_MS);
    count.add(chunk(1, { isProven: true }), 'evictable', false);
    count.add(chunk(2), 'evictable', false);
    count.removed(chunk(1, { isProven: true }));
    const { bytes, chunks, evictable } = count.summary(NOW_MS, 0);
    expect([bytes, chunks, evictable.totalBytes]).toEqual([10, 1, 10]);
    count.removed(chunk(3));
    count.removed(chunk(4));
    expect(count.summary(NOW_MS, 0)).toMatchObject({ bytes: 0, chunks: 0 });
  });

  it('is what another replica has found', () => {
    const count = new ShardCount(NOW_MS);
    count.add(chunk(1), 'evictable', false);
    count.add(chunk(2), 'pinned', false);
    const summary = count.summary(NOW_MS, 0);
    expect(ShardCount.of(summary).summary(NOW_MS, 0)).toEqual(summary);
  });
});
