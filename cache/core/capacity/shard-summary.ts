/** What a sweep has found in one shard. It is stored in the shard's ledger, so that a new owner can report it at once. */
import { OrcaError } from '#cache/core/errors.ts';
import type { BytesByBucket } from './bucket-names.ts';
import type { Histogram } from './histogram.ts';

export interface ShardSummary {
  readonly startedMs: number;
  /** When the sweep ended. */
  readonly sweptAtMs: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly pinnedBytes: number;
  /** Bytes that may be evicted, by the minute of their last read. */
  readonly evictable: Histogram;
  readonly byBucket: BytesByBucket;
  /** Names in the shard that are no chunks. */
  readonly foreignNames: number;
}

/** For JSON. */
export function formatSummary(_summary: ShardSummary): Readonly<Record<string, unknown>> {
  throw new OrcaError('internal', 'later');
}

/** Undefined for anything that `formatSummary` does not return. */
export function parseSummary(_value: unknown): ShardSummary | undefined {
  throw new OrcaError('internal', 'later');
}
