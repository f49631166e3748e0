import { expect, test } from 'vitest';
import { ownValue } from '#cache/core/own-value.ts';

test('finds own properties', () => {
  expect(ownValue({ a: 1 }, 'a')).toBe(1);
});

test.for(['b', 'constructor', '__proto__', 'valueOf', 'toString', ''])('does not find %j', (key) => {
  expect(ownValue({ a: 1 }, key)).toBeUndefined();
});
