/**
 * The byte budget of a real process, seen from outside: its peak resident memory, and that all of it is released. Origin
 * and store have no disk; every byte that a client or the store receives is compared.
 */
import { expect, onTestFinished } from 'vitest';
import { startCacheProcess, type CacheProcess } from './cache-process.ts';
import { MIB } from './replicas.ts';
import {
  startSyntheticOrigin,
  startSyntheticStore,
  type SyntheticOrigin,
  type SyntheticStore,
} from './synthetic-s3.ts';

export const BUCKET = 'models';
export const BUDGET_BYTES = 512 * MIB;
const ORIGIN_ID = 'far';
/** Generous for a busy machine; on an idle one with two cores, each test takes less than half a minute. */
export const LONG_MS = 200_000;

export interface MemoryWorld {
  readonly origin: SyntheticOrigin;
  readonly store: SyntheticStore;
  readonly cache: CacheProcess;
}

/** Chunks have 128 MiB. Stopped at the end of the test. */
export async function startMemoryWorld(
  keys: readonly string[],
  originOptions: Parameters<typeof startSyntheticOrigin>[0] = {},
  tls = false,
): Promise<MemoryWorld> {
  const parts = new AsyncDisposableStack();
  onTestFinished(() => parts.disposeAsync());
  const origin = parts.use(await startSyntheticOrigin(originOptions));
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
      tls,
    }),
  );
  return { origin, store, cache };
}

/** Keys of synthetic objects. */
export const names = (count: number, sizeBytes: number, what: string) =>
  Array.from({ length: count }, (_, index) => `${sizeBytes}-${what}-${index}`);

/** Without clients: only the memory tier holds memory, and no fill is running. */
export async function expectWhole({ cache }: MemoryWorld): Promise<void> {
  const rest = async () => {
    const used = await Promise.all(['window', 'fill'].map((share) => cache.metric(`orca_memory_${share}_bytes`)));
    return {
      heldBytes: used.reduce((sum, bytes) => sum + bytes, 0) - (await cache.metric('orca_memory_tier_bytes')),
      waiting: (await cache.metric('orca_memory_waiting_new')) + (await cache.metric('orca_memory_waiting_started')),
      flights: await cache.metric('orca_fills_running'),
      running: await cache.metric('orca_origin_running'),
      commits: await cache.metric('orca_outbox_commits'),
    };
  };
  await expect
    .poll(rest, { timeout: LONG_MS, interval: 200 })
    .toEqual({ heldBytes: 0, waiting: 0, flights: 0, running: 0, commits: 0 });
}
