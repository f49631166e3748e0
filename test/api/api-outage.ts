/** An outage of the API server: the operator must survive it and catch up with the minimum of writes. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { isReconciled, openApiWorld, REACTION_MS } from './operator-world.ts';

const NAMESPACE = 'ml';
const CACHES = Array.from({ length: 20 }, (_, index) => `models-${index}`);

export async function surviveApiOutage(outageMs: number): Promise<void> {
  const { plane, kube, operator, createNamespace, createCache, caches, scale, replicas, writes } = await openApiWorld();
  await createNamespace(NAMESPACE);
  for (const name of CACHES) await createCache(NAMESPACE, name);
  await vi.waitFor(async () => expect((await caches()).filter(isReconciled)).toHaveLength(CACHES.length), {
    timeout: REACTION_MS,
    interval: 500,
  });
  // Without pods they are rechecked every 5 s, so the operator is never at rest. Rechecks write nothing.
  let before = -1;
  await vi.waitFor(
    async () => {
      const last = before;
      before = (await writes()).length;
      expect(before, 'the operator still writes').toBe(last);
    },
    { timeout: REACTION_MS, interval: 6000 },
  );

  await plane.stopApi();
  await delay(outageMs);
  await plane.startApi();

  const [first = ''] = CACHES;
  // The API server reports ready just before it serves custom resources again.
  await vi.waitFor(() => scale(NAMESPACE, first, 7), { timeout: REACTION_MS, interval: 200 });
  await vi.waitFor(async () => expect(await replicas(NAMESPACE, first)).toBe(7), {
    timeout: REACTION_MS,
    interval: 200,
  });
  // The other caches are rechecked every 5 s.
  await delay(12_000);
  const after = (await writes()).slice(before);
  const count = (write: string): number => after.filter((other) => other === write).length;
  // One child, one status and at most one event of the changed cache.
  const { minor } = await kube.request<{ readonly minor: string }>('GET', '/version');
  const applied = count('patch deployments');
  if (Number.parseInt(minor, 10) >= 31) expect(applied).toBe(1);
  // It drops `matchLabelKeys`; a new leader term finds that out once for each cache.
  else expect(applied).toBeLessThanOrEqual(1 + CACHES.length);
  expect(count('patch orcacaches/status')).toBe(1);
  expect(count('create events')).toBeLessThanOrEqual(1);
  expect(after.length - applied).toBeLessThanOrEqual(2);
  expect(await Promise.race([operator.exit, Promise.resolve('running')])).toBe('running');
}
