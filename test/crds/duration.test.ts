import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '#crds/duration.ts';

const MAX_MS = 99_999 * 3_600_000;

describe('a duration', () => {
  test.for([
    ['0s', 0],
    ['100ms', 100],
    ['5s', 5000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1m1ms', 60_001],
    ['90m', 5_400_000],
  ] as const)('of %s is %d ms', ([text, durationMs]) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  test.for(['', '5', 's', '5 s', '-5s', '+5s', '1.5h', '5d', '5S', '5s ', '5sec', '١s', '12345678s', '5s\n'])(
    'is not %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('survives formatting and parsing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_MS }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });

  test('with several parts is their sum', () => {
    const part = fc.tuple(fc.integer({ min: 0, max: 99_999 }), fc.constantFrom('ms', 's', 'm', 'h'));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const texts = parts.map(([count, unit]) => `${count}${unit}`);
        const sum = texts.reduce((total, text) => total + (parseDuration(text) ?? Number.NaN), 0);
        expect(parseDuration(texts.join(''))).toBe(sum);
      }),
    );
  });
});
