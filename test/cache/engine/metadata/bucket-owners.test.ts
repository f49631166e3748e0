import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { openEngines, whileTimePasses } from '#test/support/engines.ts';

const { signal } = new AbortController();
/** How long a confirmation is kept. */
const KEEP_MS = 300_000;

function open() {
  const clock = fakeClock();
  const engines = openEngines({ clock });
  engines.origin.put('far-models', 'a', 'body');
  engines.origin.owners.set('far-models', 'me');
  const { engine } = engines.replicas[0]!;
  const check = (owner: string, key = 'a', bucket = 'models') =>
    whileTimePasses(clock, engine.checkOwner({ bucket, key }, owner, signal));
  return { origin: engines.origin, clock, check };
}

test('a bucket’s owner is confirmed once for all its keys, and again when the confirmation expires', async () => {
  const { origin, clock, check } = open();
  for (const key of ['a', 'b', '']) await check('me', key);
  expect(origin.counts.heads).toBe(1);
  await clock.advance(KEEP_MS);
  await check('me');
  expect(origin.counts.heads).toBe(2);
});

test('another owner is refused each time, until it owns the bucket', async () => {
  const { origin, check } = open();
  for (let attempt = 0; attempt < 2; attempt++)
    await expect(check('you')).rejects.toMatchObject({ code: 'access_denied' });
  expect(origin.counts.heads).toBe(2);
  origin.owners.set('far-models', 'you');
  await check('you');
});

test('while the origin is down, an earlier confirmation stays valid, and other checks fail', async () => {
  const { origin, clock, check } = open();
  await check('me');
  await clock.advance(KEEP_MS);
  const down = new OrcaError('origin_unavailable', 'down');
  origin.inject({ on: 'head', what: down, times: 6 });
  await check('me');
  await expect(check('you')).rejects.toMatchObject({ code: 'origin_unavailable' });
});

test('a bucket that is not served is refused without an origin request', async () => {
  const { origin, check } = open();
  await expect(check('me', 'a', 'other')).rejects.toMatchObject({ code: 'bucket_not_found' });
  expect(origin.counts.heads).toBe(0);
});
