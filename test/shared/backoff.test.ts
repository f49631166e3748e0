import { expect, test } from 'vitest';
import { fullJitter } from '#shared/backoff.ts';

test('doubles the bound up to the maximum, and restarts on reset', () => {
  const backoff = fullJitter(500, 3000, () => 1);
  expect([1, 2, 3, 4, 5].map(() => backoff.nextMs())).toEqual([500, 1000, 2000, 3000, 3000]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(500);
});

test('waits a random share of the bound', () => {
  expect(fullJitter(500, 3000, () => 0).nextMs()).toBe(0);
  expect(fullJitter(500, 3000, () => 0.25).nextMs()).toBe(125);
});
