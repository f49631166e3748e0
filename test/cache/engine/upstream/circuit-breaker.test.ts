import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { Breaker, type BreakerCall } from '#cache/engine/upstream/circuit-breaker.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const down = new OrcaError('store_unavailable', 'down');
const negative = new OrcaError('chunk_missing', 'not stored');
const cancelled = new OrcaError('cancelled', 'the client has disconnected');

function open() {
  const clock = fakeClock();
  const breaker = new Breaker(
    {
      failures: 3,
      distinctKeys: 2,
      ratio: 0.5,
      windowMs: 30_000,
      probeEveryMs: 10_000,
      goodProbes: 2,
      code: 'store_unavailable',
      name: 'the store',
    },
    clock,
  );
  let calls = 0;
  /** Each call is about another object, unless it names one. */
  const call = (result: unknown, about: Partial<BreakerCall> = {}) =>
    breaker
      .run(
        { key: `object ${calls++}`, ...about },
        (error) => error === down,
        () => (result instanceof Error ? Promise.reject(result) : Promise.resolve(result)),
      )
      .catch((error: unknown) => error);
  return { clock, breaker, call };
}

async function broken() {
  const parts = open();
  for (let i = 0; i < 3; i++) await parts.call(down);
  return parts;
}

test('enough failures within the window open the breaker, and then calls are refused at once', async () => {
  const { breaker, call } = await broken();
  expect(breaker.state).toBe('open');
  expect(await call('ok')).toMatchObject({ code: 'store_unavailable', retryAfterMs: 10_000 });
});

test('failures that are further apart do not open the breaker', async () => {
  const { clock, breaker, call } = open();
  for (let i = 0; i < 6; i++) {
    await call(down);
    await clock.advance(20_000);
  }
  expect(breaker.state).toBe('closed');
});

test('a negative answer does not count as a failure', async () => {
  const { breaker, call } = open();
  for (let i = 0; i < 10; i++) expect(await call(negative)).toBe(negative);
  expect(breaker.state).toBe('closed');
});

test('one failure in thousands of calls does not open the breaker, however many there are', async () => {
  const { clock, breaker, call } = open();
  for (let second = 0; second < 60; second++) {
    await call(down);
    for (let i = 0; i < 30; i++) await call('ok');
    await clock.advance(1_000);
  }
  expect(breaker.state).toBe('closed');
});

test('opens when half of the calls within the window fail', async () => {
  const { breaker, call } = open();
  for (const result of ['ok', 'ok', 'ok', down, down, 'ok', down]) await call(result);
  expect(breaker.state).toBe('closed');
  await call(down);
  expect(breaker.state).toBe('open');
});

test('successes from before an outage do not delay it: failures in a row are enough', async () => {
  const { breaker, call } = open();
  for (let i = 0; i < 100; i++) await call('ok');
  for (let i = 0; i < 3; i++) await call(down);
  expect(breaker.state).toBe('open');
});

test('an object that always fails does not open the breaker for others', async () => {
  const { breaker, call } = open();
  for (let i = 0; i < 100; i++) await call(down, { key: 'bad' });
  expect(breaker.state).toBe('closed');
  expect(await call('ok')).toBe('ok');
});

test('an open breaker admits what would be lost, as a probe', async () => {
  const { breaker, call } = await broken();
  expect(await call('ok', { continues: true })).toBe('ok');
  expect(await call('ok', { continues: true })).toBe('ok');
  expect(breaker.state).toBe('closed');
});

test('what would be lost and fails keeps the breaker open', async () => {
  const { clock, breaker, call } = await broken();
  await clock.advance(9_000);
  await call(down, { continues: true });
  await clock.advance(9_000);
  expect(await call('ok')).toMatchObject({ code: 'store_unavailable' });
  await clock.advance(1_000);
  expect(await call('ok')).toBe('ok');
  expect(breaker.state).toBe('probing');
});

test('one probe runs at first, and enough successful ones in a row close the breaker', async () => {
  const { clock, breaker, call } = await broken();
  let closed = 0;
  breaker.onClose(() => closed++);
  await clock.advance(10_000);
  const slow = Promise.withResolvers<string>();
  const probe = breaker.run(
    { key: 'probe' },
    () => false,
    () => slow.promise,
  );
  expect(await call('ok')).toMatchObject({ code: 'store_unavailable' });
  slow.resolve('ok');
  await probe;
  expect(breaker.state).toBe('probing');
  expect(await call('ok')).toBe('ok');
  expect([breaker.state, closed]).toEqual(['closed', 1]);
  expect(await call('ok')).toBe('ok');
});

test('after a successful probe calls are admitted again, and one failure opens the breaker again', async () => {
  const { clock, breaker, call } = await broken();
  await clock.advance(10_000);
  await call('ok');
  const slow = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
  const [late, failing] = slow.map(({ promise }) =>
    breaker.run(
      { key: 'slow' },
      (error) => error === down,
      () => promise,
    ),
  );
  slow[1].reject(down);
  await expect(failing).rejects.toBe(down);
  expect(breaker.state).toBe('open');
  slow[0].resolve('ok');
  await late;
  expect(breaker.state).toBe('open');
  await clock.advance(10_000);
  expect(await call('ok')).toBe('ok');
  expect(await call('ok')).toBe('ok');
  expect(breaker.state).toBe('closed');
});

test('a failed probe opens the breaker again, for the same time', async () => {
  const { clock, breaker, call } = await broken();
  await clock.advance(10_000);
  await call('ok');
  await call(down);
  expect(breaker.state).toBe('open');
  await clock.advance(9_000);
  expect(await call('ok')).toMatchObject({ code: 'store_unavailable' });
  await clock.advance(1_000);
  await call('ok');
  await call('ok');
  expect(breaker.state).toBe('closed');
});

test('a probe whose caller left decides nothing, and the next caller probes', async () => {
  const { clock, breaker, call } = await broken();
  await clock.advance(10_000);
  await call(cancelled);
  expect(breaker.state).toBe('probing');
  await call('ok');
  await call('ok');
  expect(breaker.state).toBe('closed');
});
