/** Pods with several workers: rollouts that change their number, and a worker that is killed, while clients read. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workersOf } from '#test/cluster/cache-clients.ts';
import { CACHE, openChaosWorld, type ChaosWorld } from '#test/cluster/chaos/chaos-world.ts';
import { caseResults, runCase } from '#test/cluster/chaos/cases.ts';
import { reportOf } from '#test/cluster/chaos/report.ts';
import { eventually } from './operator-world.ts';

const REPLICAS = 2;
const CALM_MS = 3_000;
const POLL_MS = 500;
/** The worker that is killed has up to half of the connections of one of two pods; the case has few other reads. */
const MAX_FIRST_FAILED = 0.05;
/** As in the other cases with rollouts. */
const MAX_DUPLICATION = 1.05;

let chaos: ChaosWorld;
beforeAll(async () => {
  // The least that two workers need.
  chaos = await openChaosWorld({ replicas: REPLICAS, memoryLimit: '1536Mi' });
  await chaos.whole(REPLICAS);
});
afterAll(async () => {
  console.log(reportOf(caseResults()));
  await chaos[Symbol.asyncDispose]();
});

interface Slices {
  readonly items: readonly {
    readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
    readonly endpoints?: readonly unknown[] | null;
  }[];
}

/** The ports of each EndpointSlice that has endpoints, such as `peer:8444`. */
async function slicePorts(): Promise<string[]> {
  const selector = `kubernetes.io/service-name=${CACHE}-peers`;
  const text = await chaos.world.kubectl(['get', 'endpointslices', '-l', selector, '-o', 'json']);
  return (JSON.parse(text) as Slices).items
    .filter(({ endpoints }) => (endpoints ?? []).length > 0)
    .map(({ ports }) =>
      (ports ?? [])
        .map(({ name, port }) => `${name}:${port}`)
        .toSorted()
        .join(),
    );
}

const ONE = 'peer:8444';
const TWO = 'peer-1:8445,peer:8444';

/** Rolls the pods, and returns all ports that a slice had meanwhile. */
async function roll(workers: number): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      for (const ports of await slicePorts()) seen.add(ports);
      await delay(POLL_MS);
    }
  })();
  try {
    await delay(CALM_MS);
    await chaos.setWorkers(REPLICAS, workers);
    await delay(CALM_MS);
  } finally {
    isOver = true;
    await watching;
  }
  return seen;
}

test('from one worker to two: pods with either number know each other, and the origin sends each byte once', async () => {
  expect(await slicePorts()).toEqual([ONE]);
  let seen: ReadonlySet<string> = new Set();
  const { coldBytes, originBytes } = await runCase(chaos, 'one worker → two', async () => {
    seen = await roll(2);
  });
  // Kubernetes names only the ports that the pods of a slice have.
  expect([...seen].toSorted()).toEqual([TWO, ONE].toSorted());
  // The pods of before are in their slice until they have ended.
  await eventually(async () => expect(await slicePorts()).toEqual([TWO]));
  expect(originBytes / coldBytes).toBeLessThanOrEqual(MAX_DUPLICATION);
  for (const { ip } of await chaos.replicas())
    expect(await workersOf(ip)).toMatchObject([
      { index: 0, restarts: 0, ready: true },
      { index: 1, restarts: 0, ready: true },
    ]);
});

test('a worker is killed: it alone is started again, and its pod stays', async () => {
  const before = await chaos.replicas();
  await runCase(
    chaos,
    'kill a worker',
    async () => {
      await delay(CALM_MS);
      const { ip } = await chaos.killWorker();
      await eventually(async () => {
        const workers = await workersOf(ip);
        expect(workers).toHaveLength(2);
        expect(workers.reduce((sum, { restarts }) => sum + restarts, 0)).toBe(1);
        expect(workers.every(({ ready }) => ready)).toBe(true);
      });
      await delay(CALM_MS);
      await chaos.whole(REPLICAS, 2);
    },
    { maxFirstFailed: MAX_FIRST_FAILED },
  );
  expect(await chaos.replicas()).toEqual(before);
});

test('from two workers to one', async () => {
  const { coldBytes, originBytes } = await runCase(chaos, 'two workers → one', async () => void (await roll(1)));
  await eventually(async () => expect(await slicePorts()).toEqual([ONE]));
  expect(originBytes / coldBytes).toBeLessThanOrEqual(MAX_DUPLICATION);
});
