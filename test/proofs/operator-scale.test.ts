/** Five hundred caches in fifty namespaces, on a real API server without nodes. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { surviveApiOutage } from '#test/api/api-outage.ts';
import { isReconciled, openApiWorld, REACTION_MS, type ApiWorld } from '#test/api/operator-world.ts';

const NAMESPACES = 50;
const CACHES_EACH = 10;
const CACHES = NAMESPACES * CACHES_EACH;
/** It takes a third of it on a machine that does nothing else. */
const ALL_TAKEN_UP_MS = 300_000;
const QUIET_MS = 60_000;
/** So long without a write and the first reconciles are over. */
const SETTLED_MS = 10_000;
const CHANGES = 100;
const MAX_MEMORY_BYTES = 250 * 1024 * 1024;
const POLL_MS = 10;

async function takeUpAll({ createNamespace, createCache, caches }: ApiWorld): Promise<number> {
  const startMs = performance.now();
  for (let index = 0; index < NAMESPACES; index++) {
    await createNamespace(`team-${index}`);
    await Promise.all(
      Array.from({ length: CACHES_EACH }, (_, number) => createCache(`team-${index}`, `models-${number}`)),
    );
  }
  await vi.waitFor(async () => expect((await caches()).filter(isReconciled)).toHaveLength(CACHES), {
    timeout: ALL_TAKEN_UP_MS,
    // A look reads five hundred caches.
    interval: 3000,
  });
  return performance.now() - startMs;
}

/** Until its Deployment says so, in ms. */
async function change({ scale, replicas }: ApiWorld, index: number): Promise<number> {
  const [namespace, name] = [`team-${(index * 7) % NAMESPACES}`, `models-${index % CACHES_EACH}`];
  const wanted = 4 + Math.floor(index / NAMESPACES);
  const startMs = performance.now();
  await scale(namespace, name, wanted);
  while ((await replicas(namespace, name)) !== wanted) await delay(POLL_MS);
  return performance.now() - startMs;
}

test('500 caches are taken up, cost no write and little memory then, and a change of one is brought about at once', async () => {
  const world = await openApiWorld();
  const takenUpMs = await takeUpAll(world);
  // The last statuses and events of the first reconciles; the queue is never empty while pods are awaited.
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
    `${CACHES} caches taken up in ${seconds(takenUpMs)}; quiet: ${quietWrites.length} writes and ${(cpuShare * 100).toFixed(0)} % of a core; ` +
      `a change: p50 ${seconds(sorted[Math.floor(CHANGES / 2)])}, p99 ${seconds(sorted.at(-2))}; memory ${mib(nowBytes)}, peak ${mib(peakBytes)}`,
  );
  expect(quietWrites).toEqual([]);
  expect(peakBytes).toBeLessThan(MAX_MEMORY_BYTES);
});

test('two minutes without an API server end nothing, and bring no storm of writes when it is back', async () => {
  await surviveApiOutage(120_000);
});
