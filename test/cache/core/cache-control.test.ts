import { expect, test } from 'vitest';
import { ACCEPTS_ALL, parseCacheControl } from '#cache/core/cache-control.ts';

test.for([
  [undefined, undefined, false],
  ['', undefined, false],
  ['no-cache', 0, false],
  ['No-Cache', 0, false],
  ['max-age=0', 0, false],
  ['max-age=60', 60_000, false],
  [' MAX-AGE = "60" ', 60_000, false],
  ['max-age=60, no-cache', 0, false],
  ['no-cache, max-age=60', 0, false],
  ['only-if-cached', undefined, true],
  ['only-if-cached, max-age=5', 5_000, true],
  ['max-stale=10, min-fresh=5, no-store, no-transform, x="a"', undefined, false],
  ['max-age', undefined, false],
  ['max-age=-1', undefined, false],
  ['max-age=1.5', undefined, false],
  ['max-age=99999999999', undefined, false],
] as const)('Cache-Control: %s', ([header, maxAgeMs, onlyIfCached]) => {
  expect(parseCacheControl(header)).toEqual({ maxAgeMs, onlyIfCached });
});

test('a request without the header allocates nothing', () => {
  expect(parseCacheControl(undefined)).toBe(ACCEPTS_ALL);
});
