/** An account of a cachestore, for tests of what shows it. */
import type { StoreAccount } from '#cache/core/capacity/store-account.ts';

export const ACCOUNT: StoreAccount = {
  state: 'ok',
  usedBytes: 900,
  chunks: 3,
  pinnedBytes: 100,
  capacityBytes: 1000,
  foreignBytes: 7,
  byBucket: new Map([
    ['acme-models', 800],
    ['_other', 100],
  ]),
  byAge: [
    { upToMinutes: 60, bytes: 500 },
    { upToMinutes: null, bytes: 400 },
  ],
  oldestReadMinute: 29_000_000,
  lastSweepMs: 1_777_000_000_000,
  oldestSweepMs: 1_776_999_000_000,
  coveredShards: 256,
};
