import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram, MAX_HISTOGRAM_ENTRIES, MAX_SHARD_ENTRIES } from '#cache/core/capacity/histogram.ts';
import { histogramOf, histogramRead, type HistogramRead } from '#test/support/capacity.ts';
import { RUNS } from '#test/support/fuzz.ts';

const reads = fc.array(histogramRead, { maxLength: 600 });
/** More than a compacted histogram has. */
const manyReads = fc.array(histogramRead, { minLength: MAX_HISTOGRAM_ENTRIES + 1, maxLength: 600 });

/** By how much the first histogram has less than the second up to any minute: the largest and the smallest difference. */
function lagOf(late: Histogram, early: Histogram): { readonly min: number; readonly max: number } {
  const lateEntries = late.entries();
  let [at, lateBytes, earlyBytes, min, max] = [0, 0, 0, 0, 0];
  for (const { minute, provenBytes, onceBytes } of early.entries()) {
    earlyBytes += provenBytes + onceBytes;
    for (let entry = lateEntries[at]; entry !== undefined && entry.minute <= minute; entry = lateEntries[++at])
      lateBytes += entry.provenBytes + entry.onceBytes;
    min = Math.min(min, earlyBytes - lateBytes);
    max = Math.max(max, earlyBytes - lateBytes);
  }
  return { min, max };
}

function sumOf(all: readonly HistogramRead[], isProven: boolean): number {
  return all.filter((read) => read.isProven === isProven).reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('a histogram', () => {
  it('is sorted, and keeps the bytes of both classes', () => {
    const histogram = histogramOf([
      { minute: 9, bytes: 5, isProven: true },
      { minute: 2, bytes: 1, isProven: false },
      { minute: 9, bytes: 7, isProven: false },
      { minute: 9, bytes: 6, isProven: true },
    ]);
    expect(histogram.entries()).toEqual([
      { minute: 2, provenBytes: 0, onceBytes: 1 },
      { minute: 9, provenBytes: 11, onceBytes: 7 },
    ]);
    expect(histogram.totalBytes).toBe(19);
  });

  it('compacted, has few entries, the same sums, and nothing earlier than it was', () => {
    fc.assert(
      fc.property(fc.oneof(reads, manyReads), (all) => {
        const histogram = histogramOf(all);
        const compacted = histogram.compact();
        expect(compacted.entries().length).toBeLessThanOrEqual(MAX_HISTOGRAM_ENTRIES);
        expect(compacted.entries().reduce((sum, entry) => sum + entry.provenBytes, 0)).toBe(sumOf(all, true));
        expect(compacted.entries().reduce((sum, entry) => sum + entry.onceBytes, 0)).toBe(sumOf(all, false));
        expect(compacted.totalBytes).toBe(histogram.totalBytes);
        // What a cutoff frees beyond its plan is less than a hundredth, or lies in one minute.
        const { min, max } = lagOf(compacted, histogram);
        expect(min).toBe(0);
        expect(max).toBeLessThanOrEqual(histogram.totalBytes / 100);
      }),
      { numRuns: RUNS / 5 },
    );
  });

  it('compacted for a shard, has fewer entries', () => {
    const all = Array.from({ length: 5_000 }, (_, at) => ({
      minute: at + 1,
      bytes: 7 + (at % 5),
      isProven: at % 2 === 0,
    }));
    const histogram = histogramOf(all);
    const entries = histogram.compact(MAX_SHARD_ENTRIES).entries();
    expect(entries.length).toBeLessThanOrEqual(MAX_SHARD_ENTRIES);
    for (const { provenBytes, onceBytes } of entries)
      expect(provenBytes + onceBytes).toBeLessThan(histogram.totalBytes / 30);
  });

  it('has few entries also where a minute has most of the bytes', () => {
    const all = Array.from({ length: 5_000 }, (_, at) => ({
      minute: at + 1,
      bytes: at === 77 ? 1e12 : 1,
      isProven: false,
    }));
    const entries = histogramOf(all).compact().entries();
    expect(entries.length).toBeLessThanOrEqual(3);
    expect(entries).toContainEqual({ minute: 78, provenBytes: 0, onceBytes: 1e12 });
  });

  it('merged, has the bytes of both', () => {
    fc.assert(
      fc.property(reads, reads, (first, second) => {
        const merged = histogramOf(first);
        merged.merge(histogramOf(second));
        expect(merged.entries()).toEqual(histogramOf([...first, ...second]).entries());
      }),
      { numRuns: RUNS },
    );
  });

  it('gets empty when everything is removed, also after it was compacted', () => {
    fc.assert(
      fc.property(reads, (all) => {
        const histogram = histogramOf(all).compact();
        // Each bucket of a compacted histogram is emptied from its own minutes: the oldest first.
        for (const { minute, bytes, isProven } of all.toSorted((a, b) => b.minute - a.minute))
          histogram.remove(minute, bytes, isProven);
        expect(histogram.totalBytes).toBe(0);
        expect(histogram.entries()).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('removes no more than there is', () => {
    const histogram = histogramOf([{ minute: 5, bytes: 10, isProven: true }]);
    histogram.remove(9, 3, true);
    histogram.remove(5, 3, false);
    expect(histogram.totalBytes).toBe(10);
    histogram.remove(5, 30, true);
    expect(histogram.totalBytes).toBe(0);
  });
});

describe('a histogram in JSON', () => {
  it('is the compacted one', () => {
    fc.assert(
      fc.property(reads, (all) => {
        const histogram = histogramOf(all);
        const parsed = Histogram.parse(JSON.parse(JSON.stringify(histogram)));
        expect(parsed?.entries()).toEqual(histogram.compact().entries());
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['no array', {}],
    ['too many entries', Array.from({ length: 257 }, () => [1, 1, 1])],
    ['a negative number', [[1, -1, 0]]],
    ['a text', [[1, '5', 0]]],
    ['half an entry', [[1, 5]]],
    ['a longer entry', [[1, 5, 6, 7]]],
    ['a fraction', [[1.5, 5, 6]]],
    ['a minute of more than 32 bits', [[2 ** 32, 5, 6]]],
    ['a sum that is not exact', [[1, Number.MAX_SAFE_INTEGER, 1]]],
    ['null', null],
  ])('%s is refused', (_, value) => {
    expect(Histogram.parse(value)).toBeUndefined();
  });
});
