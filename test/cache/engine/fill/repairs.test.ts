import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { Repairs } from '#cache/engine/fill/repairs.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const path = (name: string | number) => `o/h/${name}` as ChunkPath;
/** Within this time a chunk is overwritten once. */
const REPAIR_AGAIN_MS = 600_000;

test('a chunk is overwritten at most once in ten minutes', async () => {
  const clock = fakeClock();
  const repairs = new Repairs(clock);
  expect([repairs.begin(path('a')), repairs.begin(path('a')), repairs.begin(path('b'))]).toEqual([true, false, true]);
  await clock.advance(REPAIR_AGAIN_MS - 1);
  expect(repairs.begin(path('a'))).toBe(false);
  await clock.advance(1);
  expect([repairs.begin(path('a')), repairs.begin(path('a'))]).toEqual([true, false]);
});

test('only the last 1 000 repairs are remembered', () => {
  const repairs = new Repairs(fakeClock());
  for (let index = 0; index <= 1_000; index++) repairs.begin(path(index));
  expect([repairs.begin(path(1_000)), repairs.begin(path(0))]).toEqual([false, true]);
});
