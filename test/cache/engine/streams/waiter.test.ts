import { expect, test } from 'vitest';
import { Waiter } from '#cache/engine/streams/waiter.ts';
import { turns } from '#test/support/engine-checks.ts';

test('a wait ends at the next wake', async () => {
  const waiter = new Waiter();
  let isAwake = false;
  const waiting = waiter.wait().then(() => (isAwake = true));
  await turns(1);
  expect([waiter.isWaiting, isAwake]).toEqual([true, false]);
  waiter.wake();
  expect(waiter.isWaiting).toBe(false);
  await waiting;
});

test('a wake without a wait is lost', async () => {
  const waiter = new Waiter();
  waiter.wake();
  let isAwake = false;
  const waiting = waiter.wait().then(() => (isAwake = true));
  await turns(1);
  expect(isAwake).toBe(false);
  waiter.wake();
  await waiting;
});
