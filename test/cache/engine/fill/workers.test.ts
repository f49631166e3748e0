import { expect, test } from 'vitest';
import { Workers } from '#cache/engine/fill/workers.ts';

test('ends when all tasks have ended, also those that were started meanwhile', async () => {
  const workers = new Workers(() => {});
  const late = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  let hasEnded = false;
  workers.start(first.promise.then(() => workers.start(late.promise)));
  const ended = workers.ended().then(() => (hasEnded = true));
  first.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasEnded).toBe(false);
  late.resolve();
  await ended;
});

test('rejects with the first failure when all tasks have ended', async () => {
  const failures: unknown[] = [];
  const workers = new Workers((error) => failures.push(error));
  const running = Promise.withResolvers<void>();
  workers.start(running.promise);
  workers.start(Promise.reject(new Error('first')));
  workers.start(Promise.reject(new Error('second')));
  let hasEnded = false;
  const ended = workers.ended().finally(() => (hasEnded = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(failures).toEqual([new Error('first')]);
  expect(hasEnded).toBe(false);
  running.resolve();
  await expect(ended).rejects.toThrow('first');
});
