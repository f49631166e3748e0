/** Toxics between the replicas and their cachestore. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIB } from '#test/support/replicas.ts';
import { openFaultWorld, SLOW, type Fault, type FaultWorld } from '#test/support/fault-matrix.ts';

let world: FaultWorld;
beforeAll(async () => {
  world = await openFaultWorld('store');
});
afterAll(() => world[Symbol.asyncDispose]());

const BROKEN: readonly Fault[] = [
  { name: 'timeout, no bytes pass', toxic: { type: 'timeout', timeout: 0 } },
  { name: 'timeout, no answer comes', toxic: { type: 'timeout', timeout: 0 }, stream: 'downstream' },
  { name: 'reset_peer', toxic: { type: 'reset_peer', timeout: 20 } },
  { name: 'limit_data, nothing', toxic: { type: 'limit_data', bytes: 0 } },
  { name: 'limit_data, in an answer', toxic: { type: 'limit_data', bytes: 400_000 }, stream: 'downstream' },
  { name: 'limit_data, in a commit', toxic: { type: 'limit_data', bytes: 400_000 }, stream: 'upstream' },
  { name: 'limit_data, at its end', toxic: { type: 'limit_data', bytes: MIB }, stream: 'upstream' },
];

test.for(SLOW)('$name: every read is whole, and each byte comes from the origin once', async (fault) => {
  const { duplication } = await world.expectSurvived(fault);
  expect(duplication).toBe(1);
});

/** Clients notice no error of the cachestore. */
const UNNOTICED = BROKEN.map((fault) => ({ ...fault, harmless: true }));

test.for(UNNOTICED)('$name: what is cold comes from the origin once, and is stored in the end', async (fault) => {
  const { duplication, failures } = await world.expectSurvived(fault);
  expect(duplication).toBe(1);
  expect(failures).toBeGreaterThan(0);
});

/**
 * Toxics that are left out: a commit is not read; a missing response is one byte that does not pass; a reset is a
 * connection that closes without a byte, but it opens the breaker, whose probes would take a minute and a half.
 */
const READING = UNNOTICED.filter(
  ({ name, stream }) => stream !== 'upstream' && name !== 'timeout, no answer comes' && name !== 'reset_peer',
);

test.for(READING)('$name: what is stored costs a refill, and nothing else', async (fault) => {
  const { duplication, failures } = await world.expectSurvived(fault, 'warm');
  expect(duplication).toBeLessThanOrEqual(2);
  expect(failures).toBeGreaterThan(0);
});
