import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { guardOrigin } from '#cache/engine/upstream/guarded.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const { signal } = new AbortController();

test('names that clients invent under a pattern do not fill the memory; an open breaker stays', async () => {
  const origin = fakeOrigin();
  const guarded = guardOrigin(origin, fakeClock());
  origin.inject({ on: 'head', times: 100, what: new OrcaError('origin_unavailable', 'down') });
  for (let index = 0; index < 100; index++)
    await guarded.head('team-down', `key ${index}`, { signal }).catch(() => undefined);
  expect(guarded.breakers.get('team-down')?.state).toBe('open');
  for (let index = 0; index < 2_000; index++)
    await guarded.head(`team-${index}`, 'key', { signal }).catch(() => undefined);
  expect(guarded.breakers.size).toBe(1_000);
  expect(guarded.breakers.get('team-down')?.state).toBe('open');
});
