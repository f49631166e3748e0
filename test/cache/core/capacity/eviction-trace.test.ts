/** How many reads hit, compared with an exact LRU that has the whole capacity and no watermarks. */
import { beforeAll, describe, expect, it } from 'vitest';
import { PureEviction } from '#test/support/pure-eviction.ts';
import { ExactLru, readTrace, type TraceOptions } from '#test/support/read-trace.ts';

const CAPACITY = 4_000;
const READS = 300_000;
/** Two months: each hour, a twentieth of the capacity is replaced. */
const READ_MS = (60 * 24 * 60 * 60_000) / READS;
/** Until then both stores fill up. */
const WARM_AT = READS / 5;

interface Hits {
  readonly reads: number;
  readonly hits: number;
}

interface Outcome {
  readonly ours: { readonly all: Hits; readonly popular: Hits };
  readonly lru: { readonly all: Hits; readonly popular: Hits };
  readonly largest: number;
}

function ratioOf({ hits, reads }: Hits): number {
  return hits / reads;
}

function replay(trace: Partial<TraceOptions>): Outcome {
  const options = { seed: 1, reads: READS, chunks: 5 * CAPACITY, exponent: 0.9, scanShare: 0, scanChunks: CAPACITY };
  const caches = [new PureEviction(CAPACITY), new ExactLru(CAPACITY)] as const;
  const counts = caches.map(() => ({ all: { reads: 0, hits: 0 }, popular: { reads: 0, hits: 0 } }));
  let count = 0;
  for (const { chunk, isScan } of readTrace({ ...options, ...trace })) {
    const isWarm = ++count > WARM_AT;
    caches.forEach((cache, at) => {
      const isHit = cache.read(chunk, READ_MS);
      if (!isWarm) return;
      for (const hits of isScan ? [counts[at]!.all] : [counts[at]!.all, counts[at]!.popular]) {
        hits.reads++;
        if (isHit) hits.hits++;
      }
    });
  }
  return { ours: counts[0]!, lru: counts[1]!, largest: caches[0].largest };
}

const SCANS = [0, 0.1, 0.3] as const;
/** 300,000 reads take 2 s on an idle machine. */
const TIMEOUT_MS = 60_000;

describe('300,000 reads of five times the capacity, by Zipf 0.9', () => {
  const outcomes = new Map<number, Outcome>();
  beforeAll(() => {
    for (const scanShare of SCANS) outcomes.set(scanShare, replay({ scanShare }));
  }, TIMEOUT_MS);

  it.each(SCANS)('with scans for %d of the reads, hit at least 0.95 times as often as with LRU', (scanShare) => {
    const { ours, lru, largest } = outcomes.get(scanShare)!;
    expect(ratioOf(ours.all) / ratioOf(lru.all)).toBeGreaterThanOrEqual(0.95);
    expect(largest).toBeLessThanOrEqual(CAPACITY);
  });

  it.each([0.1, 0.3])('scans of cold data for %d of the reads leave popular chunks in the store', (scanShare) => {
    const { ours, lru } = outcomes.get(scanShare)!;
    const withoutScans = ratioOf(outcomes.get(0)!.ours.popular);
    expect(ratioOf(ours.popular) / withoutScans).toBeGreaterThanOrEqual(0.85);
    // LRU evicts popular chunks for those of a scan.
    expect(ratioOf(ours.popular)).toBeGreaterThanOrEqual(ratioOf(lru.popular));
  });
});
