/** Toxics between the replicas. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFaultWorld, SLOW, type Fault, type FaultWorld } from '#test/support/fault-matrix.ts';

let world: FaultWorld;
beforeAll(async () => {
  world = await openFaultWorld('peer');
});
afterAll(() => world[Symbol.asyncDispose]());

test.for(SLOW)('$name: every read is whole, and each byte comes from the origin once', async (fault) => {
  const { duplication } = await world.expectSurvived(fault);
  expect(duplication).toBe(1);
});

const BROKEN: readonly Fault[] = [
  { name: 'timeout, no bytes pass', toxic: { type: 'timeout', timeout: 0 } },
  { name: 'timeout, then the end', toxic: { type: 'timeout', timeout: 300 }, stream: 'downstream' },
  { name: 'reset_peer', toxic: { type: 'reset_peer', timeout: 20 } },
  { name: 'limit_data, nothing', toxic: { type: 'limit_data', bytes: 0 } },
  { name: 'limit_data, in the head', toxic: { type: 'limit_data', bytes: 100 }, stream: 'downstream' },
  { name: 'limit_data, in a body', toxic: { type: 'limit_data', bytes: 500_000 }, stream: 'downstream' },
];

test.for(BROKEN)('$name: no body is short, and each replica fills a chunk once at most', async (fault) => {
  const { duplication, failures } = await world.expectSurvived({ ...fault, harmless: true });
  expect(failures).toBeGreaterThan(0);
  expect(duplication).toBeLessThanOrEqual(world.cache.all.length);
});
