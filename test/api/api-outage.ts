/** The API server goes away for a while: what the operator does meanwhile, and when it is back. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { isTakenUp, openApiWorld, REACTION_MS } from './operator-world.ts';

const NAMESPACE = 'ml';
const CACHES = Array.from({ length: 20 }, (_, index) => `models-${index}`);

export async function surviveApiOutage(awayMs: number): Promise<void> {
  const { plane, operator, createNamespace, createCache, caches, scale, replicas, writes } = await openApiWorld();
  await createNamespace(NAMESPACE);
  for (const name of CACHES) await createCache(NAMESPACE, name);
  await vi.waitFor(async () => expect((await caches()).filter(isTakenUp)).toHaveLength(CACHES.length), {
    timeout: REACTION_MS,
    interval: 500,
  });
  let before = (await writes()).length;
  // What it still had to say of its first reconciles is said.
  await vi.waitFor(
    async () => {
      const last = before;
      before = (await writes()).length;
      expect(before).toBe(last);
    },
    { timeout: REACTION_MS, interval: 6000 },
  );

  await plane.stopApi();
  await delay(awayMs);
  await plane.startApi();

  const [first = ''] = CACHES;
  // It is ready a moment before it knows its custom resources again.
  await vi.waitFor(() => scale(NAMESPACE, first, 7), { timeout: REACTION_MS, interval: 200 });
  await vi.waitFor(async () => expect(await replicas(NAMESPACE, first)).toBe(7), {
    timeout: REACTION_MS,
    interval: 200,
  });
  // All the others are looked at again, every 5 s.
  await delay(12_000);
  const after = (await writes()).slice(before);
  // One child and one status of the one that has changed, and an event where its status turns.
  expect(after.filter((words) => words !== 'create events').toSorted()).toEqual([
    'patch deployments',
    'patch orcacaches/status',
  ]);
  expect(after.length).toBeLessThanOrEqual(3);
  expect(await Promise.race([operator.exit, Promise.resolve('runs')])).toBe('runs');
}
