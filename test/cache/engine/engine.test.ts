import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openEngines, patternBytes, readAll, readRequest } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('a response may stall for 300 s, and for 30 s while the cachestore is down', async () => {
  const clock = fakeClock();
  const engines = openEngines({ clock, readahead: 0 });
  const { engine } = engines.replicas[0]!;
  expect(engine.stallLimitMs()).toBe(300_000);
  engines.store.down = new OrcaError('store_unavailable', 'down');
  for (let i = 0; i < 12; i++) {
    engines.origin.put('far-models', `o${i}`, patternBytes(1_000, i));
    await readAll(engine, readRequest(`o${i}`));
    await engine.idle();
  }
  expect(engine.store.breaker.state).toBe('open');
  expect(engine.stallLimitMs()).toBe(30_000);
});
