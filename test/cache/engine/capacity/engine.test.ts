/** The hooks of the engine: what it reports to the room, and what the room does for it. */
import { afterEach, expect, it } from 'vitest';
import { capacityEngines, CHUNK_BYTES, MINUTE_MS, type CapacityOptions } from '#test/support/capacity-engines.ts';

let opened: { close(): Promise<void> }[] = [];

function engines(options: CapacityOptions) {
  const engines = capacityEngines(options);
  opened.push(engines);
  return engines;
}

afterEach(async () => {
  for (const each of opened) await each.close();
  opened = [];
});

const SETTINGS = { minAgeMs: MINUTE_MS, sweepIntervalMs: 10 * MINUTE_MS };

it('chunks that clients read stay, and the first ones to be evicted are those that were not read again', async () => {
  const { fill, read, clock, store, pathOf, settings } = engines({ replicas: 2, settings: SETTINGS });
  const keys = await fill(40);
  await clock.advance(15 * MINUTE_MS);
  // From memory, from the cachestore and from the other replica.
  for (const key of keys.slice(0, 10)) await read(key);
  settings.current = { ...SETTINGS, capacityBytes: 25 * CHUNK_BYTES };
  await clock.advance(5 * MINUTE_MS);
  expect(store.paths().length).toBeLessThanOrEqual(21);
  const left = new Set(store.paths());
  expect(keys.slice(0, 10).filter((key, at) => !left.has(pathOf(key, at + 1)))).toEqual([]);
});

it('reads of evicted chunks come from the origin, whole and without a warning', async () => {
  const { fill, read, clock, store, settings, replicas } = engines({ replicas: 2, settings: SETTINGS });
  const keys = await fill(10);
  await clock.advance(15 * MINUTE_MS);
  settings.current = { ...SETTINGS, maxIdleMs: 5 * MINUTE_MS };
  await clock.advance(11 * MINUTE_MS);
  expect(store.paths()).toEqual([]);
  for (const { engine } of replicas) engine.memoryTier.evict(Infinity);
  for (const key of keys) await read(key);
  expect(replicas.flatMap(({ counts }) => counts.warnings)).toEqual([]);
});

it('an object that was overwritten three times leaves one version', async () => {
  const { put, read, clock, store, pathOf, replicas } = engines({ replicas: 2, settings: SETTINGS });
  for (let seed = 1; seed <= 4; seed++) {
    put('key', seed);
    for (const replica of replicas) await read('key', replica);
    // Longer than the TTL of what is known about the object, and for as long as it is served while it is revalidated.
    await clock.advance(6 * MINUTE_MS);
    for (const replica of replicas) await read('key', replica);
  }
  await clock.advance(8 * MINUTE_MS);
  expect(store.paths()).toEqual([pathOf('key', 4)]);
});

it('a full cachestore heals: no read fails, and commits continue', async () => {
  const { fill, clock, store, replicas } = engines({
    settings: { ...SETTINGS, sweepIntervalMs: 60 * MINUTE_MS },
    storeBytes: 40 * CHUNK_BYTES,
  });
  await fill(30, 'early');
  await clock.advance(10 * MINUTE_MS);
  await fill(15, 'late');
  await clock.advance(MINUTE_MS);
  const { engine, counts } = replicas[0]!;
  expect([engine.outbox.isFull, engine.outbox.count]).toEqual([false, 0]);
  expect(counts.evictedBytes['full']).toBeGreaterThan(0);
  expect(store.paths().length).toBeGreaterThan(30);
});
