import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { effectiveMinute, planEviction } from '#cache/core/capacity/cutoff.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { firstOfTick, lastTickOf, minuteOfTick, tickOf } from '#cache/engine/capacity/ticks.ts';
import { RUNS } from '#test/support/fuzz.ts';

const NOW = 30_000_000;

it('a single chunk is evicted, whatever its key and however little is to be freed', () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.nat(2 ** 32 - 1), fc.boolean(), (age, low, isProven) => {
      const minute = NOW - age;
      const histogram = new Histogram();
      histogram.add(tickOf(minute, low), 1_000_000, isProven);
      const { cutoffMinute = 0 } = planEviction({
        usedBytes: 1_000_000,
        capacityBytes: 990_000,
        highWatermark: 100,
        lowWatermark: 100,
        isEvicting: true,
        histogram,
        nowMinute: lastTickOf(NOW),
      });
      const cutoff = minuteOfTick(cutoffMinute);
      expect(effectiveMinute({ minute, isProven }, minute, firstOfTick(low), NOW)).toBeLessThan(cutoff);
    }),
    { numRuns: RUNS },
  );
});
