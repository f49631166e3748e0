import { expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { capacityRoom, MINUTE_MS, NEVER } from '#test/support/capacity-room.ts';

it('is not known at first, then at least what was seen', async () => {
  const { room, clock } = capacityRoom();
  const { time } = room;
  expect(time.nowMs()).toBeUndefined();
  time.seen(5_000);
  await clock.advance(100);
  expect(time.nowMs()).toBe(5_100);
  time.seen(4_000);
  expect(time.nowMs()).toBe(5_100);
  time.seen(9_000);
  expect(time.nowMs()).toBe(9_000);
});

it("is the store's, read from the date of a small object", async () => {
  const { room, clock, store } = capacityRoom();
  const { time } = room;
  const name = '_orca/clock/test';
  const put = store.putSmall.bind(store);
  store.putSmall = async (...args) => {
    const outcome = await put(...args);
    store.modify(name, 1_000_000);
    return outcome;
  };
  await time.read(NEVER);
  await clock.advance(500);
  expect([time.nowMs(), time.nowMinute()]).toEqual([1_000_500, minuteOf(1_000_500)]);
  // What carries a later date does not move it: a chunk of another server of the store, whose clock is ahead.
  time.seen(9_999_999);
  expect(time.nowMs()).toBe(1_000_500);
});

it('is read again after ten minutes, so that a clock that was set back does not make chunks seem old', async () => {
  const { room, clock, store } = capacityRoom();
  await room.time.read(NEVER);
  const { lists } = store.counts;
  await clock.advance(10 * MINUTE_MS - 1);
  await room.time.read(NEVER);
  expect(store.counts.lists).toBe(lists);
  await clock.advance(1);
  await room.time.read(NEVER);
  expect(store.counts.lists).toBe(lists + 1);
});

it('stays the lower bound if the store does not take the object', async () => {
  const { room, store } = capacityRoom();
  store.inject({ on: 'small', error: new OrcaError('store_unavailable', 'full', { status: 507 }) });
  await expect(room.time.read(NEVER)).rejects.toMatchObject({ status: 507 });
  room.time.seen(7_000);
  expect(room.time.nowMs()).toBe(7_000);
});
