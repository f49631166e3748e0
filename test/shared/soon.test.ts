import { expect, test } from 'vitest';
import { andThen } from '#shared/soon.ts';

test('a known value is continued with in the same turn', () => {
  expect(andThen(1, (value) => value + 1)).toBe(2);
});

test('a promise is waited for', async () => {
  const sum = andThen(Promise.resolve(1), (value) => Promise.resolve(value + 1));
  expect(sum).toBeInstanceOf(Promise);
  expect(await sum).toBe(2);
});

test('an error of the next step is thrown after a known value, and rejects after a promise', async () => {
  const fail = (): never => {
    throw new Error('failed');
  };
  expect(() => andThen(1, fail)).toThrow('failed');
  await expect(andThen(Promise.resolve(1), fail)).rejects.toThrow('failed');
  await expect(andThen(Promise.reject(new Error('before')), fail)).rejects.toThrow('before');
});
