/** The figures of the whole cachestore, as the accountant sees them. */
import type { BytesByBucket } from './bucket-names.ts';

export const ACCOUNT_STATES = [
  /** Not all shards have been reported yet. */
  'counting',
  'ok',
  'evicting',
  /** Above the high watermark, and nothing may go. */
  'over_capacity',
  /** The store refuses chunks for lack of room. */
  'full',
] as const;
export type AccountState = (typeof ACCOUNT_STATES)[number];

export interface AgeClass {
  /** Bytes that were last read up to so many minutes ago, and longer ago than the class before; null = any time. */
  readonly upToMinutes: number | null;
  readonly bytes: number;
}

export interface StoreAccount {
  readonly state: AccountState;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  readonly capacityBytes: number | undefined;
  /** What other caches have in the same store. */
  readonly foreignBytes: number;
  readonly byBucket: BytesByBucket;
  /** Of what may be evicted. */
  readonly byAge: readonly AgeClass[];
  /** Of what may be evicted; undefined = nothing. */
  readonly oldestReadMinute: number | undefined;
  /** The end of the newest and of the oldest sweep of a shard; undefined = not all shards have been swept. */
  readonly lastSweepMs: number | undefined;
  readonly oldestSweepMs: number | undefined;
  readonly coveredShards: number;
  /** Why eviction cannot reach its goal: an `EvictionBlock`, or the store's refusal to list or delete. */
  readonly blocked?: string;
}
