/** What a replica tells the accountant about its shards, and the answer. `POST /internal/usage`, JSON. */
import { OrcaError } from '#cache/core/errors.ts';
import type { BytesByBucket } from './bucket-names.ts';
import type { Histogram } from './histogram.ts';
import type { StoreAccount } from './store-account.ts';

/** A receiver collects the body before it can authenticate it. */
export const MAX_USAGE_BYTES = 64 * 1024;

export const EVICTION_REASONS = ['capacity', 'idle', 'superseded', 'full'] as const;
export type EvictionReason = (typeof EVICTION_REASONS)[number];

export interface UsageReport {
  readonly originId: string;
  /** Of the sender's view of the replicas. */
  readonly epoch: string;
  /** The sender's shards that have been swept; the sums below are over these. */
  readonly covered: readonly number[];
  readonly bytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  readonly evictable: Histogram;
  readonly byBucket: BytesByBucket;
  /** The store refuses the sender's chunks for lack of room. */
  readonly isFull: boolean;
  /** Why the sender cannot list or delete; undefined = it can. */
  readonly deniedReason?: string;
  /** The end of the newest and of the oldest sweep among `covered`. */
  readonly lastSweepMs: number | undefined;
  readonly oldestSweepMs: number | undefined;
  /** Since the process started. */
  readonly evictedBytes: Readonly<Record<EvictionReason, number>>;
}

export interface UsageAnswer {
  readonly account: StoreAccount;
  /** Chunks go whose `effectiveMinute` is below it. */
  readonly cutoffMinute?: number;
  /** Sweep now, and report again in a few seconds. */
  readonly urgent: boolean;
}

/** Names of buckets are left out, the smallest first, until the message fits. */
export function encodeUsageReport(_report: UsageReport): Uint8Array {
  throw new OrcaError('internal', 'later');
}

/** Throws `bad_request`. */
export function decodeUsageReport(_bytes: Uint8Array): UsageReport {
  throw new OrcaError('internal', 'later');
}

export function encodeUsageAnswer(_answer: UsageAnswer): Uint8Array {
  throw new OrcaError('internal', 'later');
}

/** Throws `peer_unavailable`. */
export function decodeUsageAnswer(_bytes: Uint8Array): UsageAnswer {
  throw new OrcaError('internal', 'later');
}

/** What a cache publishes for the other caches of the store. */
export interface PublishedUsage {
  readonly originId: string;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly atMs: number;
}

export function encodePublishedUsage(_usage: PublishedUsage): Uint8Array {
  throw new OrcaError('internal', 'later');
}

/** Undefined for anything else. */
export function decodePublishedUsage(_bytes: Uint8Array): PublishedUsage | undefined {
  throw new OrcaError('internal', 'later');
}
