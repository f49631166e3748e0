import { expect, test } from 'vitest';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { keepPagesReady } from '#cache/engine/memory/ready-pages.ts';
import { MIB } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('a quarter of the budget is made ready, and again when it is used', async () => {
  const clock = fakeClock();
  const memory = new ChunkMemory({ budgetBytes: 16 * MIB, clock });
  let touched = 0;
  const touch = memory.touch.bind(memory);
  memory.touch = (readyBytes) => touch(readyBytes) && ++touched > 0;
  const stop = new AbortController();
  const running = keepPagesReady(memory, clock, stop.signal);
  await clock.advance(1_000);
  expect(touched).toBe(4);
  const { signal } = stop;
  const lease = await memory.lease(3 * MIB, 'fill', 'new', signal);
  const segments = [1, 2, 3].map(() => lease.take());
  await clock.advance(1_000);
  expect(touched).toBe(7);
  for (const segment of segments) segment?.release();
  lease.close();
  stop.abort();
  await running;
});
