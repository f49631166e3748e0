import { expect, test } from 'vitest';
import { parseHttpDate } from '#cache/core/http-date.ts';

const MS = Date.UTC(2026, 0, 2, 3, 4, 5);

test.for([
  ['Fri, 02 Jan 2026 03:04:05 GMT', MS],
  ['Fri, 2 Jan 2026 03:04:05 UTC', MS],
  ['Friday, 02-Jan-26 03:04:05 GMT', MS],
  ['Fri Jan  2 03:04:05 2026', MS],
  ['2026-01-02T03:04:05Z', MS],
  ['2026-01-02T05:04:05.000+02:00', MS],
  [' Fri, 02 Jan 2026 03:04:05 GMT ', MS],
  ['Fri, 02 Jan 2026 03:04:05', undefined],
  ['Fri, 32 Jan 2026 03:04:05 GMT', undefined],
  ['2026-01-02', undefined],
  ['2026', undefined],
  ['0', undefined],
  ['yesterday', undefined],
  ['', undefined],
] as const)('%j is %j', ([text, ms]) => {
  expect(parseHttpDate(text)).toBe(ms);
});
