import { describe, expect, test } from 'vitest';
import { parseSchedule } from '#operator/prewarm/schedule.ts';

function next(schedule: string, after: string, timeZone = 'UTC'): string | undefined {
  const ms = parseSchedule(schedule, timeZone).next(Date.parse(after));
  return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16);
}

describe('the next start', () => {
  test.for<readonly [string, string, string, string]>([
    ['0 2 * * *', 'UTC', '2026-01-01T01:59:59Z', '2026-01-01T02:00'],
    // The time of a start is not its own successor, also when it is written in whole seconds.
    ['0 2 * * *', 'UTC', '2026-01-01T02:00:00Z', '2026-01-02T02:00'],
    ['*/15 9-17 * * MON-FRI', 'UTC', '2026-01-02T17:50:00Z', '2026-01-05T09:00'],
    ['0 2 * * *', 'Asia/Tokyo', '2026-01-01T00:00:00Z', '2026-01-01T17:00'],
    ['@hourly', 'UTC', '2026-01-01T02:00:00Z', '2026-01-01T03:00'],
    ['@daily', 'Europe/Berlin', '2026-01-01T02:00:00Z', '2026-01-01T23:00'],
    ['@weekly', 'UTC', '2026-01-01T02:00:00Z', '2026-01-04T00:00'],
    ['@monthly', 'UTC', '2026-01-01T02:00:00Z', '2026-02-01T00:00'],
    // A day of the month and a day of the week are alternatives.
    ['0 0 13 * 5', 'UTC', '2026-01-05T00:00:00Z', '2026-01-09T00:00'],
    ['0 0 13 * 5', 'UTC', '2026-01-09T00:00:00Z', '2026-01-13T00:00'],
    ['0 0 29 2 *', 'UTC', '2026-03-01T00:00:00Z', '2028-02-29T00:00'],
  ])('of %s in %s after %s is %s', ([schedule, timeZone, after, expected]) => {
    expect(next(schedule, after, timeZone)).toBe(expected);
  });

  test('follows the gap when daylight saving time begins', () => {
    expect(next('30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin')).toBe('2026-03-29T01:00');
  });

  test('is not repeated when daylight saving time ends', () => {
    const first = next('30 2 * * *', '2026-10-24T12:00:00Z', 'Europe/Berlin');
    expect(first).toBe('2026-10-25T00:30');
    expect(next('30 2 * * *', `${first}:00Z`, 'Europe/Berlin')).toBe('2026-10-26T01:30');
  });

  test('does not exist on 30 February', () => {
    expect(next('0 0 30 2 *', '2026-01-01T00:00:00Z')).toBeUndefined();
  });
});

test.for<readonly [string, string, RegExp]>([
  ['99 * * * *', 'UTC', /99/],
  ['0 2 * * * *', 'UTC', /5 parts/],
  ['0 2 * * *', 'Mars/Phobos', /Mars\/Phobos/],
])('%s in %s is refused', ([schedule, timeZone, message]) => {
  expect(() => parseSchedule(schedule, timeZone)).toThrow(message);
});
