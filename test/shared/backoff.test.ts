import { expect, test } from 'vitest';
import { fullJitter } from '#shared/backoff.ts';

test('doubles its limit up to the maximum and starts over on reset', () => {
  const backoff = fullJitter(500, 3000, () => 1);
  expect([1, 2, 3, 4, 5].map(() => backoff.nextMs())).toEqual([500, 1000, 2000, 3000, 3000]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(500);
});

test('waits a random share of the limit', () => {
  expect(fullJitter(500, 3000, () => 0).nextMs()).toBe(0);
  expect(fullJitter(500, 3000, () => 0.25).nextMs()).toBe(125);
});

test('stays at the maximum after any number of attempts', () => {
  const backoff = fullJitter(500, 3000, () => 1);
  for (let attempt = 0; attempt < 2000; attempt++) backoff.nextMs();
  expect(backoff.nextMs()).toBe(3000);
});
