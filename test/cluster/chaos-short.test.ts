/** Two of the cases of `hack/test chaos`, short enough for every run. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, test } from 'vitest';
import { openChaosWorld, type ChaosWorld } from '#test/cluster/chaos/chaos-world.ts';
import { caseResults, runCase } from '#test/cluster/chaos/cases.ts';
import { reportOf } from '#test/cluster/chaos/report.ts';

const OUTAGE_MS = 8_000;
const CALM_MS = 3_000;
/** A third of the connections break, and new ones fail until the Service removes the pod; the case has few other reads. */
const MAX_FIRST_FAILED = 0.05;

let chaos: ChaosWorld;
beforeAll(async () => {
  chaos = await openChaosWorld();
  await chaos.whole(3);
});
afterAll(async () => {
  console.log(reportOf(caseResults()));
  await chaos[Symbol.asyncDispose]();
});

test('a coordinator is killed in the middle of a fill', async () => {
  const kill = async (): Promise<void> => {
    await delay(CALM_MS);
    await chaos.killCoordinator(new Set());
    await delay(CALM_MS);
    await chaos.whole(3);
  };
  await runCase(chaos, 'kill the coordinator', kill, { maxFirstFailed: MAX_FIRST_FAILED });
});

test('the cachestore is down for a moment', async () => {
  await runCase(chaos, 'stop the store', async () => {
    await chaos.stop('store');
    await delay(OUTAGE_MS);
    await chaos.start('store');
    await delay(CALM_MS);
  });
});
