/** Hundreds of clients on a small memory budget: peak resident memory, and that every buffer is released. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { startLoadThread } from '#test/support/load-thread.ts';
import { BUCKET, BUDGET_BYTES, expectWhole, LONG_MS, names, startMemoryWorld } from '#test/support/memory-world.ts';
import { MIB } from '#test/support/replicas.ts';
import { until } from '#test/support/until.ts';

/** Memory of the process besides the budget: Node, code, socket state, garbage. */
const BESIDES_BYTES = 250 * MIB;
/** OpenSSL and Node keep 0.3 MiB of buffers for each connection: two hundred clients, and some that connect again. */
const TLS_BYTES = 80 * MIB;
/** Bandwidth of the origin's line, as of a good one across a continent. The first test asserts how well it is used. */
const LINE_BYTES_PER_SECOND = 150 * MIB;

const start = (keys: readonly string[], tls: boolean) =>
  startMemoryWorld(keys, { lineBytesPerSecond: LINE_BYTES_PER_SECOND }, tls);

/** Reads all objects at once, not throttled; counts the clients per outcome. */
async function readEach(edge: string, keys: readonly string[]): Promise<Record<string, number>> {
  await using clients = startLoadThread();
  const outcomes: Record<string, number> = {};
  for (const outcome of await Promise.all(keys.map((key) => clients.start(edge, BUCKET, key).ended)))
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return outcomes;
}

describe.each([
  ['HTTP', false],
  ['HTTPS', true],
])('a budget of 512 MiB, and chunks of 128 MiB, over %s', { timeout: 2 * LONG_MS }, (_, tls) => {
  test('200 clients read 200 cold objects: memory stays in bounds, and every response is complete and correct', async () => {
    const keys = [...names(192, 10 * MIB, 'short'), ...names(8, 130 * MIB, 'long')];
    const totalBytes = 192 * 10 * MIB + 8 * 130 * MIB;
    const world = await start(keys, tls);
    const startedMs = performance.now();
    expect(await readEach(world.cache.edge, keys)).toEqual({ whole: 200 });
    // The only duration asserted: twice the transfer time at the line's rate.
    expect(performance.now() - startedMs).toBeLessThan((2 * 1000 * totalBytes) / LINE_BYTES_PER_SECOND);
    expect(await world.cache.peakBytes()).toBeLessThan(BUDGET_BYTES + BESIDES_BYTES + (tls ? TLS_BYTES : 0));
    await expectWhole(world);
    expect(world.store.problems).toEqual([]);
    expect(world.store.counts.chunks).toBe(208);
    expect(world.origin.counts.bytes).toBe(totalBytes);
    expect(await world.cache.metric('orca_committed_bytes_total')).toBe(totalBytes);
  });

  test('eight clients at 50 KB/s on eight fills of 128 MiB delay no other client, and read their whole objects', async () => {
    const slow = names(8, 128 * MIB, 'slow');
    const others = [...names(16, 10 * MIB, 'other'), ...names(4, 128 * MIB, 'other')];
    const world = await start([...slow, ...others], tls);
    const { cache } = world;
    const clients = startLoadThread();
    onTestFinished(() => clients[Symbol.asyncDispose]());
    const slowClients = slow.map((key) => clients.start(cache.edge, BUCKET, key, 50_000));
    await until(
      () => slowClients.every(({ gotBytes }) => gotBytes > 0),
      'each slow client has received bytes',
      LONG_MS,
    );
    expect(await readEach(cache.edge, others)).toEqual({ whole: others.length });
    expect(slowClients.filter(({ isOver }) => isOver)).toEqual([]);
    await expect
      .poll(() => cache.metric('orca_stalls_total', { outcome: 'buffers_released' }), {
        timeout: LONG_MS,
        interval: 200,
      })
      .toBeGreaterThanOrEqual(8);
    // The only pool memory they still hold is what was passed to their sockets.
    const held = (await cache.metric('orca_memory_window_bytes')) + (await cache.metric('orca_memory_fill_bytes'));
    expect(held - (await cache.metric('orca_memory_tier_bytes'))).toBeLessThan(8 * 5 * MIB);
    // Their chunks were evicted from memory meanwhile; the responses continue from the cachestore.
    for (const client of slowClients) client.hurry();
    expect(await Promise.all(slowClients.map(({ ended }) => ended))).toEqual(slow.map(() => 'whole'));
    expect(world.origin.counts.bytes).toBe(8 * 128 * MIB + 16 * 10 * MIB + 4 * 128 * MIB);
    expect(await cache.peakBytes()).toBeLessThan(BUDGET_BYTES + BESIDES_BYTES + (tls ? TLS_BYTES : 0));
    await expectWhole(world);
    expect(world.store.problems).toEqual([]);
  });
});
