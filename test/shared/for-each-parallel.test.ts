import { expect, test } from 'vitest';
import { forEachParallel } from '#shared/for-each-parallel.ts';

test('each item is taken once, in order, and no more than the limit at once', async () => {
  const begun: number[] = [];
  let [running, most] = [0, 0];
  await forEachParallel([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    begun.push(item);
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
  });
  expect([begun, most, running]).toEqual([[1, 2, 3, 4, 5, 6, 7], 3, 0]);
});

test('the first failure rejects', async () => {
  const failing = forEachParallel([1, 2, 3], 2, async (item) => {
    if (item === 2) throw new Error('two');
  });
  await expect(failing).rejects.toThrow('two');
});
