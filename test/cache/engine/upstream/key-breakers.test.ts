import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { guardOrigin } from '#cache/engine/upstream/guarded.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeOrigin } from '#test/support/fake-origin.ts';

const { signal } = new AbortController();
const down = new OrcaError('origin_unavailable', 'the origin answers 500');

function open() {
  const clock = fakeClock();
  const origin = fakeOrigin();
  for (const key of ['bad', 'good', 'c', 'd']) origin.put('bucket', key, key);
  const guarded = guardOrigin(origin, clock);
  const head = (key: string) => guarded.head('bucket', key, { signal }).catch((error: unknown) => error);
  const fails = (key: string, times: number) => origin.inject({ on: 'head', key, what: down, times });
  return { clock, origin, guarded, head, fails, state: () => guarded.breakers.get('bucket')?.state };
}

test('an object that always fails is refused after ten failures, and no other object is', async () => {
  const { origin, head, fails, state } = open();
  fails('bad', 1_000);
  for (let i = 0; i < 30; i++) expect(await head('bad')).toMatchObject({ code: 'origin_unavailable' });
  expect([origin.counts.heads, state()]).toEqual([10, 'closed']);
  expect(await head('good')).toMatchObject({ sizeBytes: 4 });
});

test('it is probed every 5 s, and served again when the origin answers', async () => {
  const { clock, origin, head, fails } = open();
  fails('bad', 11);
  for (let i = 0; i < 12; i++) await head('bad');
  for (const heads of [11, 12]) {
    await clock.advance(5_000);
    await head('bad');
    expect(origin.counts.heads).toBe(heads);
  }
  for (let i = 0; i < 3; i++) expect(await head('bad')).toMatchObject({ sizeBytes: 3 });
});

test('failures of three objects open the breaker of the bucket', async () => {
  const { head, fails, state } = open();
  for (const key of ['bad', 'c', 'd']) fails(key, 1_000);
  for (let i = 0; i < 4; i++) for (const key of ['bad', 'c', 'd']) await head(key);
  expect(state()).toBe('open');
  expect(await head('good')).toMatchObject({ details: 'not_asked' });
});
