import { expect, test } from 'vitest';
import { peerHealth } from '#cache/peers/peer-health.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

test('a peer is available until it is dead, then skipped, then probed by a single request', async () => {
  const clock = fakeClock();
  const health = peerHealth(clock, 5000);
  expect(health.ask()).toBeDefined();
  health.ask()?.dead();
  expect(health.ask()).toBeUndefined();
  await clock.advance(5000);
  const probe = health.ask();
  expect(probe).toBeDefined();
  expect(health.ask()).toBeUndefined();
  probe?.alive();
  expect(health.ask()).toBeDefined();
});

test('a probe of a peer that is still dead restarts the skip time', async () => {
  const clock = fakeClock();
  const health = peerHealth(clock, 5000);
  health.ask()?.dead();
  await clock.advance(5000);
  health.ask()?.dead();
  await clock.advance(4999);
  expect(health.ask()).toBeUndefined();
  await clock.advance(1);
  expect(health.ask()).toBeDefined();
});

test('an abandoned probe allows the next one', async () => {
  const clock = fakeClock();
  const health = peerHealth(clock, 5000);
  health.ask()?.dead();
  await clock.advance(5000);
  health.ask()?.abandoned();
  expect(health.ask()).toBeDefined();
});

test('the end of an old probe does not allow a second one while a new one runs', async () => {
  const clock = fakeClock();
  const health = peerHealth(clock, 5000);
  health.ask()?.dead();
  await clock.advance(5000);
  const old = health.ask();
  old?.alive();
  health.ask()?.dead();
  await clock.advance(5000);
  health.ask();
  old?.abandoned();
  expect(health.ask()).toBeUndefined();
});
