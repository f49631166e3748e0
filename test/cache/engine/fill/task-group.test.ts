import { expect, test } from 'vitest';
import { TaskGroup } from '#cache/engine/fill/task-group.ts';

test('ends when all tasks have ended, also those that were started meanwhile', async () => {
  const tasks = new TaskGroup(() => {});
  const late = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  let hasEnded = false;
  tasks.start(first.promise.then(() => tasks.start(late.promise)));
  const ended = tasks.ended().then(() => (hasEnded = true));
  first.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasEnded).toBe(false);
  late.resolve();
  await ended;
});

test('rejects with the first failure when all tasks have ended', async () => {
  const failures: unknown[] = [];
  const tasks = new TaskGroup((error) => failures.push(error));
  const running = Promise.withResolvers<void>();
  tasks.start(running.promise);
  tasks.start(Promise.reject(new Error('first')));
  tasks.start(Promise.reject(new Error('second')));
  let hasEnded = false;
  const ended = tasks.ended().finally(() => (hasEnded = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(failures).toEqual([new Error('first')]);
  expect(hasEnded).toBe(false);
  running.resolve();
  await expect(ended).rejects.toThrow('first');
});
