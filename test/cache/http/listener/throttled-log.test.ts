import { expect, test } from 'vitest';
import { throttledLog } from '#cache/http/listener/throttled-log.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('the first event is logged at once, the others in the interval are counted', async () => {
  const clock = fakeClock();
  const logged: object[] = [];
  const log = throttledLog(clock, 1_000, (fields) => logged.push(fields));
  for (let index = 0; index < 100; index++) log({ index });
  expect(logged).toEqual([{ index: 0, suppressed: 0 }]);
  await clock.advance(1_000);
  log({ index: 100 });
  log({ index: 101 });
  expect(logged.slice(1)).toEqual([{ index: 100, suppressed: 99 }]);
});
