import { expect, test } from 'vitest';
import { seldom } from '#cache/http/listener/throttled-log.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('the first is told at once, of all others in the interval how many they were', async () => {
  const clock = fakeClock();
  const told: object[] = [];
  const tell = seldom(clock, 1_000, (fields) => told.push(fields));
  for (let index = 0; index < 100; index++) tell({ index });
  expect(told).toEqual([{ index: 0, untold: 0 }]);
  await clock.advance(1_000);
  tell({ index: 100 });
  tell({ index: 101 });
  expect(told.slice(1)).toEqual([{ index: 100, untold: 99 }]);
});
