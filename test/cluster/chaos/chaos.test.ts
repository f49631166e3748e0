/** Faults of clusters on real nodes: clients with an SDK's retries notice none of them. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openChaosWorld, type ChaosWorld } from './chaos-world.ts';
import { caseResults, runCase } from './cases.ts';
import { reportOf } from './report.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const OUTAGE_MS = 60_000;
/** Longer than the time until a node counts as lost and its pods are replaced on other nodes. */
const CUT_MS = 45_000;
/** Enough reads for a 99th percentile. */
const QUIET_MS = 20_000;
/** Time before and after the fault. */
const CALM_MS = 5_000;
const ROLLED_BYTES = 4 * GIB;
const ROLLED_OBJECT_BYTES = 64 * MIB;
const ROLLED_BYTES_PER_SECOND = 56 * MIB;

let chaos: ChaosWorld;
beforeAll(async () => {
  chaos = await openChaosWorld();
  await chaos.whole(3);
});
afterAll(async () => {
  console.log(reportOf(caseResults()));
  await chaos[Symbol.asyncDispose]();
});

test('no fault: the baseline for the other cases', async () => {
  const { coldBytes, originBytes } = await runCase(chaos, 'nothing', () => delay(QUIET_MS), { reconciled: true });
  expect(originBytes / coldBytes).toBeLessThanOrEqual(1.05);
});

test('each coordinator is killed in the middle of a fill', async () => {
  await runCase(chaos, 'kill the coordinator', async () => {
    const killed = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await delay(CALM_MS);
      killed.add(await chaos.killCoordinator(killed));
      await delay(CALM_MS);
      await chaos.whole(3);
    }
  });
});

test('a node loses the network, and recovers', async () => {
  await runCase(chaos, 'partition a node', async () => {
    await delay(CALM_MS);
    const { heal } = await chaos.cutNode();
    try {
      await delay(CUT_MS);
    } finally {
      await heal();
    }
    await chaos.whole(3);
    await delay(CALM_MS);
  });
});

test('the cachestore is down for a minute', async () => {
  const options = { reconciled: true };
  await runCase(
    chaos,
    'stop the store',
    async () => {
      await delay(CALM_MS);
      await chaos.stop('store');
      await delay(OUTAGE_MS);
      await chaos.start('store');
      await delay(CALM_MS);
    },
    options,
  );
});

test('the origin is down for a minute: objects that were read before are served, marked as stale', async () => {
  const options = { coldBytesPerSecond: 0 };
  const { tally } = await runCase(
    chaos,
    'stop the origin',
    async () => {
      await delay(CALM_MS);
      await chaos.stop('origin', 'origin-proxy');
      await delay(OUTAGE_MS);
      await chaos.start('origin', 'origin-proxy');
      await delay(CALM_MS);
    },
    options,
  );
  expect(tally.stale).toBeGreaterThan(0);
});

test('all pods are replaced while 4 GiB are read for the first time: the origin sends every byte about once', async () => {
  const { coldBytes, originBytes } = await runCase(
    chaos,
    'roll under load',
    async (load) => {
      // A rollout may finish before all bytes are read.
      do await chaos.roll();
      while (load.coldBytes < ROLLED_BYTES);
    },
    { coldBytesPerSecond: ROLLED_BYTES_PER_SECOND, coldObjectBytes: ROLLED_OBJECT_BYTES },
  );
  await chaos.whole(3);
  expect(originBytes / coldBytes).toBeLessThanOrEqual(1.05);
});

test('replicas are added and removed, up to more replicas than nodes', async () => {
  const { coldBytes, originBytes } = await runCase(chaos, 'scale 3 → 5 → 2', async () => {
    await delay(CALM_MS);
    await chaos.scale(5);
    const nodes = new Set((await chaos.replicas()).map(({ node }) => node));
    expect(nodes.size).toBe(3);
    await delay(CALM_MS);
    await chaos.scale(2);
    await delay(CALM_MS);
  });
  await chaos.scale(3);
  expect(originBytes / coldBytes).toBeLessThanOrEqual(1.05);
});
