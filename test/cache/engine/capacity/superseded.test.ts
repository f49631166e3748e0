import { expect, it } from 'vitest';
import { keyHigh, keyLow, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { metaOf, RecordRows } from '#cache/core/capacity/records.ts';
import { Superseded } from '#cache/engine/capacity/superseded.ts';
import { capacityRoom, MINUTE_MS } from '#test/support/capacity-room.ts';
import { pathOf, versionOf } from '#test/support/capacity-rooms.ts';

function open(minAgeMs = 10 * MINUTE_MS) {
  const { room, clock } = capacityRoom({ minAgeMs });
  const superseded = new Superseded(room);
  const add = (...numbers: number[]) =>
    superseded.add(numbers.map((number) => ({ hex: versionOf(number), sinceMs: 0 })));
  const read = (number: number, minute = room.time.nowMinute()): void => {
    const reads = new RecordRows();
    const path = pathOf(number, 3);
    reads.push(keyHigh(path), keyLow(path), minute, metaOf(shardOf(path), 0, false));
    superseded.read({ reads });
  };
  return { superseded, clock, add, read };
}

it('a version is due after minAge, once', async () => {
  const { superseded, clock, add } = open();
  add(1);
  add(1);
  expect([superseded.size, superseded.next()]).toEqual([1, undefined]);
  expect(superseded.dueMs()).toBe(clock.now() + 10 * MINUTE_MS);
  await clock.advance(10 * MINUTE_MS);
  expect(superseded.next()).toBe(versionOf(1));
  superseded.removed(versionOf(1));
  expect([superseded.size, superseded.dueMs()]).toEqual([0, undefined]);
});

it('a version that was not removed is tried again, after other versions', async () => {
  const { superseded, clock, add } = open(0);
  add(1, 2);
  await clock.advance(10_000);
  expect([superseded.next(), superseded.next(), superseded.next()]).toEqual([versionOf(1), versionOf(2), undefined]);
  await clock.advance(10_000);
  expect(superseded.next()).toBe(versionOf(1));
});

it('a read of any of its chunks postpones it, but not one of the first two minutes', async () => {
  const { superseded, clock, add, read } = open();
  add(1);
  await clock.advance(MINUTE_MS);
  read(1);
  await clock.advance(4 * MINUTE_MS);
  read(2);
  await clock.advance(5 * MINUTE_MS);
  expect(superseded.next()).toBe(versionOf(1));
  read(1);
  await clock.advance(9 * MINUTE_MS);
  read(1);
  await clock.advance(9 * MINUTE_MS);
  expect(superseded.next()).toBeUndefined();
  await clock.advance(MINUTE_MS);
  expect(superseded.next()).toBe(versionOf(1));
});

it('a version that is read for a day is current again', async () => {
  const { superseded, clock, add, read } = open();
  add(1);
  for (let hour = 0; hour < 24; hour++) {
    await clock.advance(60 * MINUTE_MS);
    read(1);
  }
  await clock.advance(11 * MINUTE_MS);
  expect([superseded.next(), superseded.size]).toEqual([undefined, 0]);
});

it('there are 10,000 at most: the oldest go first', () => {
  const { superseded, add } = open();
  add(...Array.from({ length: 10_001 }, (_, at) => at));
  expect(superseded.size).toBe(10_000);
  const left = superseded.takeWhere(() => true).map(({ hex }) => hex);
  expect([left.includes(versionOf(0)), left.includes(versionOf(10_000))]).toEqual([false, true]);
  expect(superseded.size).toBe(0);
});
