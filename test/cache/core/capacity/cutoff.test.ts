import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveMinute, planEviction, type EvictionFigures } from '#cache/core/capacity/cutoff.ts';
import { histogramOf, histogramRead, type HistogramRead } from '#test/support/capacity.ts';
import { RUNS } from '#test/support/fuzz.ts';

const NOW = 30_000_000;
const GB = 1e9;

function figures(overrides: Partial<EvictionFigures> = {}): EvictionFigures {
  return {
    usedBytes: 95 * GB,
    capacityBytes: 100 * GB,
    highWatermark: 90,
    lowWatermark: 80,
    isEvicting: false,
    histogram: histogramOf([{ minute: NOW - 5_000, bytes: 95 * GB, isProven: true }]),
    nowMinute: NOW,
    ...overrides,
  };
}

/** Chunks of equal size with the keys of a hash: what a histogram stands for. */
function freedBytes(all: readonly HistogramRead[], cutoffMinute: number, nowMinute = NOW): number {
  const parts = 64;
  let freed = 0;
  for (const { minute, bytes, isProven } of all)
    for (let part = 0; part < parts; part++) {
      const low = ((part + 0.5) / parts) * 2 ** 32;
      if (effectiveMinute({ minute, isProven }, 0, low, nowMinute) < cutoffMinute) freed += bytes / parts;
    }
  return freed;
}

describe('when eviction begins and ends', () => {
  it.each([
    ['below the high watermark', { usedBytes: 90 * GB }, false],
    ['above it', { usedBytes: 90 * GB + 1 }, true],
    ['between the watermarks, once it has begun', { usedBytes: 81.1 * GB, isEvicting: true }, true],
    ['near the low watermark', { usedBytes: 80.9 * GB, isEvicting: true }, false],
    ['without a capacity', { usedBytes: 1e15, capacityBytes: undefined }, false],
    ['without a capacity any more', { usedBytes: 1e15, capacityBytes: undefined, isEvicting: true }, false],
  ] as const)('%s', (_, overrides, isEvicting) => {
    const plan = planEviction(figures(overrides));
    expect(plan.isEvicting).toBe(isEvicting);
    expect(plan.cutoffMinute !== undefined).toBe(isEvicting);
  });

  it('ends below the high watermark once only pinned and young chunks are left', () => {
    const left = { usedBytes: 85 * GB, isEvicting: true, histogram: histogramOf([]) };
    expect(planEviction(figures(left))).toEqual({ isEvicting: false, cutoffMinute: undefined, freeBytes: 0 });
    expect(planEviction(figures({ ...left, usedBytes: 91 * GB }))).toMatchObject({ blocked: 'nothing_evictable' });
  });

  it('frees down to the low watermark', () => {
    expect(planEviction(figures()).freeBytes).toBeCloseTo(15 * GB);
  });
});

describe('the cutoff', () => {
  it('divides the chunks of one minute: a restored store has one date for all', () => {
    const all = [{ minute: NOW - 5_000, bytes: 95 * GB, isProven: false }];
    const { cutoffMinute, freeBytes } = planEviction(figures({ histogram: histogramOf(all) }));
    expect(freedBytes(all, cutoffMinute!) / freeBytes).toBeCloseTo(1, 1);
  });

  it('frees what it should, whatever was read when', () => {
    const recent = fc
      .record({ age: fc.integer({ min: 0, max: 100_000 }), read: histogramRead })
      .map(({ age, read }) => ({ ...read, minute: NOW - age }));
    fc.assert(
      fc.property(
        fc.array(recent, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 99 }),
        (all, percent) => {
          const usedBytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
          const plan = planEviction(
            figures({
              usedBytes,
              capacityBytes: usedBytes,
              highWatermark: 99.5,
              lowWatermark: percent,
              histogram: histogramOf(all),
            }),
          );
          const freed = freedBytes(all, plan.cutoffMinute!);
          // A 64th of each entry is the precision of the model.
          expect(Math.abs(freed - plan.freeBytes)).toBeLessThanOrEqual(usedBytes / 32);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('evicts the least recently read first', () => {
    const [old, recent] = [
      { minute: NOW - 9_000, bytes: 20 * GB, isProven: true },
      { minute: NOW - 1_000, bytes: 75 * GB, isProven: true },
    ];
    const { cutoffMinute } = planEviction(figures({ histogram: histogramOf([old, recent]) }));
    expect(freedBytes([recent], cutoffMinute!)).toBe(0);
    expect(freedBytes([old], cutoffMinute!)).toBeGreaterThan(14 * GB);
  });

  it('a chunk that was read once counts as four times as old', () => {
    const scan = { minute: NOW - 1_000, bytes: 20 * GB, isProven: false };
    const hot = { minute: NOW - 3_900, bytes: 75 * GB, isProven: true };
    const { cutoffMinute } = planEviction(figures({ histogram: histogramOf([scan, hot]) }));
    expect(freedBytes([hot], cutoffMinute!)).toBe(0);
    const colder = { ...hot, minute: NOW - 4_100 };
    const other = planEviction(figures({ histogram: histogramOf([scan, colder]) }));
    expect(freedBytes([scan], other.cutoffMinute!)).toBe(0);
  });

  it('evicts everything that may be evicted if that is not enough, and reports it', () => {
    const all = [{ minute: NOW - 5_000, bytes: 3 * GB, isProven: true }];
    const plan = planEviction(figures({ histogram: histogramOf(all) }));
    expect(plan).toMatchObject({ isEvicting: true, blocked: 'nothing_evictable' });
    expect(freedBytes(all, plan.cutoffMinute!)).toBeCloseTo(3 * GB);
  });

  it('has no cutoff if nothing may be evicted', () => {
    const plan = planEviction(figures({ histogram: histogramOf([]) }));
    expect(plan).toMatchObject({ isEvicting: true, cutoffMinute: undefined, blocked: 'nothing_evictable' });
  });

  it('pins that keep the store above the low watermark, but not above the high one, are no trouble', () => {
    const all = [{ minute: NOW - 5_000, bytes: 10 * GB, isProven: true }];
    expect(planEviction(figures({ histogram: histogramOf(all) })).blocked).toBeUndefined();
  });

  it('reads of the future count as read now', () => {
    const all = [{ minute: NOW + 90_000, bytes: 95 * GB, isProven: false }];
    const { cutoffMinute } = planEviction(figures({ histogram: histogramOf(all) }));
    expect(cutoffMinute).toBeLessThanOrEqual(NOW + 1);
    expect(cutoffMinute).toBeGreaterThan(NOW - 3);
  });
});

describe('the effective minute', () => {
  it('is that of the last read, or of the commit', () => {
    expect(effectiveMinute({ minute: NOW - 10, isProven: true }, NOW - 500, 0, NOW)).toBe(NOW - 10);
    expect(effectiveMinute(undefined, NOW - 1, 0, NOW)).toBe(NOW - 7);
  });

  it('never exceeds now, and orders the chunks of a minute by their keys', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.boolean(), fc.nat(0xffff_ffff), (low, isProven, minute) => {
        const record = { minute, isProven };
        const at = effectiveMinute(record, 0, low, NOW);
        expect(at).toBeLessThanOrEqual(NOW + 1);
        expect(effectiveMinute(record, 0, 0, NOW)).toBeLessThanOrEqual(at);
        expect(effectiveMinute(record, 0, 0xffff_ffff, NOW)).toBeGreaterThanOrEqual(at);
      }),
      { numRuns: RUNS },
    );
  });
});
