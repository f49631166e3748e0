/** Toxics between the replicas and their origin. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIB } from '#test/support/replicas.ts';
import { openFaultWorld, SLOW, type Fault, type FaultWorld } from '#test/support/fault-matrix.ts';

let world: FaultWorld;
beforeAll(async () => {
  world = await openFaultWorld('origin');
});
afterAll(() => world[Symbol.asyncDispose]());

test.for(SLOW)('$name: every read is whole, and each byte comes from the origin once', async (fault) => {
  const { duplication } = await world.expectSurvived(fault);
  expect(duplication).toBe(1);
});

/** Bytes before a break are kept: connections that deliver some bytes suffice to get the whole object. */
const CUT: readonly Fault[] = [300_000, 700_001, MIB - 1].map((bytes) => ({
  name: `limit_data, after ${bytes} bytes`,
  toxic: { type: 'limit_data', bytes },
  stream: 'downstream',
}));

test.for(CUT)('$name: bytes that have arrived are not fetched again', async (fault) => {
  const { duplication, failures } = await world.expectSurvived(fault);
  expect(duplication).toBe(1);
  expect(failures).toBeGreaterThan(0);
});

const DEAD: readonly Fault[] = [
  { name: 'timeout, no bytes pass', toxic: { type: 'timeout', timeout: 0 } },
  { name: 'timeout, then the end', toxic: { type: 'timeout', timeout: 200 } },
  // A dozen connections for each chunk: too many for the breaker.
  { name: 'limit_data, after 100000 bytes', toxic: { type: 'limit_data', bytes: 100_000 }, stream: 'downstream' },
  { name: 'reset_peer', toxic: { type: 'reset_peer', timeout: 20 } },
  { name: 'limit_data, nothing', toxic: { type: 'limit_data', bytes: 0 } },
  { name: 'limit_data, in the head', toxic: { type: 'limit_data', bytes: 100 }, stream: 'downstream' },
  { name: 'limit_data, in the request', toxic: { type: 'limit_data', bytes: 100 }, stream: 'upstream' },
];

test.for(DEAD)('$name: no body is short, nothing wrong is stored, and it heals', async (fault) => {
  const { failures } = await world.expectSurvived(fault);
  expect(failures).toBeGreaterThan(0);
});
