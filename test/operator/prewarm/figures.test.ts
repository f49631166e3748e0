import { describe, expect, test } from 'vitest';
import { figuresOf } from '#operator/prewarm/figures.ts';
import { CREATED_MS, reportOf } from './samples.ts';

const GIB = 1024 ** 3;
const bytes = (done: number, total: number) => ({ total, done, fromOrigin: done, alreadyStored: 0 });

test.for<readonly [number, number, boolean, string]>([
  [1.2 * 1024 * GIB, 1.9 * 1024 * GIB, true, '63 % 1.2/1.9Ti'],
  [512 * 1024 ** 2, 2 * GIB, true, '25 % 512Mi/2Gi'],
  [0, 0, true, '100 % 0/0'],
  [0, 100, true, '0 % 0/100'],
  // What is rounded to all of it is not all of it.
  [2 * GIB - 1, 2 * GIB, true, '99 % 2/2Gi'],
  [2 * GIB, 2 * GIB, true, '100 % 2/2Gi'],
  [GIB, 2 * GIB, false, '1/2Gi+'],
])('%d of %d bytes (listed: %s) is shown as %s', ([done, total, listed, expected]) => {
  const { progress } = figuresOf(reportOf({ listed, bytes: bytes(done, total) }), true, CREATED_MS);
  expect(progress).toBe(expected);
});

describe('the estimate', () => {
  const estimate = (fields: Parameters<typeof reportOf>[0], isMoving = true) =>
    figuresOf(reportOf(fields), isMoving, CREATED_MS).estimatedCompletionTime;

  test('is the time that the remaining bytes take at this rate', () => {
    expect(estimate({ bytes: bytes(100, 400), bytesPerSecond: 10 })).toBe('2026-01-01T00:00:30Z');
  });

  test.for<readonly [string, Parameters<typeof reportOf>[0], boolean]>([
    ['before the total is final', { listed: false }, true],
    ['without a rate', { bytesPerSecond: 0 }, true],
    ['with nothing to do and no rate', { bytes: bytes(0, 0), bytesPerSecond: 0 }, true],
    ['of centuries', { bytes: bytes(0, 2 ** 53 - 1), bytesPerSecond: 1 }, true],
    ['while the run does not move', {}, false],
  ])('does not exist %s', ([, fields, isMoving]) => {
    expect(estimate(fields, isMoving)).toBeUndefined();
  });
});
