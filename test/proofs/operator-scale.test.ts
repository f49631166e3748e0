/** Five hundred caches in fifty namespaces, on a real API server without nodes. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { surviveApiOutage } from '#test/api/api-outage.ts';
import { isReconciled, openApiWorld, REACTION_MS, type ApiWorld } from '#test/api/operator-world.ts';

const NAMESPACES = 50;
const CACHES_EACH = 10;
const CACHES = NAMESPACES * CACHES_EACH;
/** Three times as long as an idle machine needs. */
const ALL_RECONCILED_MS = 300_000;
const QUIET_MS = 60_000;
/** After this time without a write the first reconciles have finished. */
const SETTLED_MS = 10_000;
const CHANGES = 100;
const MAX_MEMORY_BYTES = 250 * 1024 * 1024;
const POLL_MS = 10;

async function reconcileAll({ createNamespace, createCache, caches }: ApiWorld): Promise<number> {
  const startMs = performance.now();
  for (let index = 0; index < NAMESPACES; index++) {
    await createNamespace(`team-${index}`);
    await Promise.all(
      Array.from({ length: CACHES_EACH }, (_, number) => createCache(`team-${index}`, `models-${number}`)),
    );
  }
  await vi.waitFor(async () => expect((await caches()).filter(isReconciled)).toHaveLength(CACHES), {
    timeout: ALL_RECONCILED_MS,
    // Each poll lists five hundred caches.
    interval: 3000,
  });
  return performance.now() - startMs;
}

/** Scales one cache; resolves with the time until its Deployment has the new replica count, in ms. */
async function change({ scale, replicas }: ApiWorld, index: number): Promise<number> {
  const [namespace, name] = [`team-${(index * 7) % NAMESPACES}`, `models-${index % CACHES_EACH}`];
  const wanted = 4 + Math.floor(index / NAMESPACES);
  const startMs = performance.now();
  await scale(namespace, name, wanted);
  while ((await replicas(namespace, name)) !== wanted) await delay(POLL_MS);
  return performance.now() - startMs;
}

test('500 caches are reconciled, then cause no writes and use little memory; a change to one is applied promptly', async () => {
  const world = await openApiWorld();
  const reconciledMs = await reconcileAll(world);
  // Waits for the last status and event writes of the first reconciles; the queue never empties while pods are pending.
  let before = -1;
  await vi.waitFor(
    async () => {
      const last = before;
      before = (await world.writes()).length;
      expect(before).toBe(last);
    },
    { timeout: REACTION_MS, interval: SETTLED_MS },
  );
  const cpuBefore = await world.metric('process_cpu_seconds_total');
  await delay(QUIET_MS);
  const quietWrites = (await world.writes()).slice(before);
  const cpuShare = ((await world.metric('process_cpu_seconds_total')) - cpuBefore) / (QUIET_MS / 1000);
  const changesMs: number[] = [];
  for (let index = 0; index < CHANGES; index++) changesMs.push(await change(world, index));
  const sorted = changesMs.toSorted((left, right) => left - right);
  const { nowBytes, peakBytes } = world.memory();
  const seconds = (ms: number | undefined): string => `${((ms ?? 0) / 1000).toFixed(2)} s`;
  const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
  console.log(
    `${CACHES} caches reconciled in ${seconds(reconciledMs)}; quiet: ${quietWrites.length} writes and ${(cpuShare * 100).toFixed(0)} % of a core; ` +
      `a change: p50 ${seconds(sorted[Math.floor(CHANGES / 2)])}, p99 ${seconds(sorted.at(-2))}; memory ${mib(nowBytes)}, peak ${mib(peakBytes)}`,
  );
  expect(quietWrites).toEqual([]);
  expect(peakBytes).toBeLessThan(MAX_MEMORY_BYTES);
});

test('two minutes without an API server end no process, and cause no burst of writes once it is available again', async () => {
  await surviveApiOutage(120_000);
});
