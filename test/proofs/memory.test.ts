/**
 * The byte budget of a real process, seen from outside: how much is ever resident, and that all of it comes back. Origin
 * and store have no disk; every byte that a client or the store gets is compared.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import { startCacheProcess, type CacheProcess } from '#test/support/cache-process.ts';
import { startClient } from '#test/support/load-client.ts';
import { MIB } from '#test/support/replicas.ts';
import {
  startSyntheticOrigin,
  startSyntheticStore,
  type SyntheticOrigin,
  type SyntheticStore,
} from '#test/support/synthetic-s3.ts';
import { until } from '#test/support/until.ts';

const BUCKET = 'models';
const ORIGIN_ID = 'far';
const BUDGET_BYTES = 512 * MIB;
/** What the process takes besides the budget: Node, code, sockets' bookkeeping, garbage. */
const BESIDES_BYTES = 250 * MIB;
/** A busy machine is slow, not wrong; on a quiet one of two cores each takes less than half a minute. */
const LONG_MS = 240_000;

/** Of the origin's line, as a good one across a continent: what can be told then is how well it is used. */
const LINE_BYTES_PER_SECOND = 150 * MIB;

interface World {
  readonly origin: SyntheticOrigin;
  readonly store: SyntheticStore;
  readonly cache: CacheProcess;
}

async function start(keys: readonly string[]): Promise<World> {
  const parts = new AsyncDisposableStack();
  onTestFinished(() => parts.disposeAsync());
  const origin = parts.use(await startSyntheticOrigin({ lineBytesPerSecond: LINE_BYTES_PER_SECOND }));
  const store = parts.use(await startSyntheticStore());
  store.expect({ originId: ORIGIN_ID, bucket: BUCKET }, keys, 128 * MIB);
  const cache = parts.use(
    await startCacheProcess({
      originEndpoint: origin.endpoint,
      storeEndpoint: store.endpoint,
      originId: ORIGIN_ID,
      bucket: BUCKET,
      chunkSize: '128Mi',
      budget: String(BUDGET_BYTES),
    }),
  );
  return { origin, store, cache };
}

const names = (count: number, sizeBytes: number, what: string) =>
  Array.from({ length: count }, (_, index) => `${sizeBytes}-${what}-${index}`);

/** All at once, as fast as they can, until each has its object. */
async function readEach(edge: string, keys: readonly string[]): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (const outcome of await Promise.all(keys.map((key) => startClient(edge, BUCKET, key).ended)))
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return outcomes;
}

/** With nobody asking any more: nothing is held but the memory tier, nothing is under way. */
async function expectWhole({ cache }: World): Promise<void> {
  const rest = async () => {
    const used = await Promise.all(['window', 'fill'].map((share) => cache.metric(`orca_memory_${share}_bytes`)));
    return {
      heldBytes: used.reduce((sum, bytes) => sum + bytes, 0) - (await cache.metric('orca_memory_tier_bytes')),
      waiting: (await cache.metric('orca_memory_waiting_new')) + (await cache.metric('orca_memory_waiting_started')),
      flights: await cache.metric('orca_flights'),
      running: await cache.metric('orca_origin_running'),
      commits: await cache.metric('orca_outbox_commits'),
    };
  };
  await expect
    .poll(rest, { timeout: LONG_MS, interval: 200 })
    .toEqual({ heldBytes: 0, waiting: 0, flights: 0, running: 0, commits: 0 });
}

describe('a budget of 512 MiB, and chunks of 128 MiB', { timeout: 2 * LONG_MS }, () => {
  test('200 clients on 200 cold objects: in bounds, no wrong byte, no broken response, and all of them succeed', async () => {
    const keys = [...names(192, 10 * MIB, 'short'), ...names(8, 130 * MIB, 'long')];
    const totalBytes = 192 * 10 * MIB + 8 * 130 * MIB;
    const world = await start(keys);
    const startedMs = performance.now();
    expect(await readEach(world.cache.edge, keys)).toEqual({ whole: 200 });
    // The one time that is asserted: the line's own, twice.
    expect(performance.now() - startedMs).toBeLessThan((2 * 1000 * totalBytes) / LINE_BYTES_PER_SECOND);
    expect(await world.cache.peakBytes()).toBeLessThan(BUDGET_BYTES + BESIDES_BYTES);
    await expectWhole(world);
    expect(world.store.mistakes).toEqual([]);
    expect(world.store.counts.chunks).toBe(208);
    expect(world.origin.counts.bytes).toBe(totalBytes);
    expect(await world.cache.metric('orca_committed_bytes_total')).toBe(totalBytes);
  });

  test('eight clients at 50 KB/s on eight fills of 128 MiB hinder nobody, and miss nothing', async () => {
    const slow = names(8, 128 * MIB, 'slow');
    const others = [...names(16, 10 * MIB, 'other'), ...names(4, 128 * MIB, 'other')];
    const world = await start([...slow, ...others]);
    const { cache } = world;
    const hanging = slow.map((key) => startClient(cache.edge, BUCKET, key, 50_000));
    onTestFinished(() => hanging.forEach((client) => client.leave()));
    await until(() => hanging.every(({ gotBytes }) => gotBytes > 0), 'each slow one has begun', LONG_MS);
    expect(await readEach(cache.edge, others)).toEqual({ whole: others.length });
    expect(hanging.filter(({ isOver }) => isOver)).toEqual([]);
    await expect
      .poll(() => cache.metric('orca_stalls_total', { outcome: 'gave_back' }), { timeout: LONG_MS, interval: 200 })
      .toBeGreaterThanOrEqual(8);
    // What they still hold of the pool is what was handed to their sockets.
    const held = (await cache.metric('orca_memory_window_bytes')) + (await cache.metric('orca_memory_fill_bytes'));
    expect(held - (await cache.metric('orca_memory_tier_bytes'))).toBeLessThan(8 * 5 * MIB);
    // Their chunks have left memory meanwhile; they go on from the store.
    for (const client of hanging) client.hurry();
    expect(await Promise.all(hanging.map(({ ended }) => ended))).toEqual(slow.map(() => 'whole'));
    expect(world.origin.counts.bytes).toBe(8 * 128 * MIB + 16 * 10 * MIB + 4 * 128 * MIB);
    expect(await cache.peakBytes()).toBeLessThan(BUDGET_BYTES + BESIDES_BYTES);
    await expectWhole(world);
    expect(world.store.mistakes).toEqual([]);
  });
});
