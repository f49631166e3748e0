import { expect, test } from 'vitest';
import { LineBudget } from '#cache/http/edge/line-budget.ts';

test('a second has a limited number of lines, and the next one counts those that were suppressed', () => {
  const budget = new LineBudget(2);
  expect([1_000, 1_001, 1_002, 1_999, 2_000, 2_001].map((nowMs) => budget.take(nowMs))).toEqual([
    0,
    0,
    undefined,
    undefined,
    2,
    0,
  ]);
});
