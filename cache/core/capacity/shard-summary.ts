/** What a sweep has found in one shard. It is stored in the shard's ledger, so that a new owner can report it at once. */
import { formatByBucket, parseByBucket, type BytesByBucket } from './bucket-names.ts';
import { fieldsOf, isCount } from './fields.ts';
import { Histogram } from './histogram.ts';

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
export function formatSummary(summary: ShardSummary): Readonly<Record<string, unknown>> {
  const { evictable, byBucket, ...counts } = summary;
  return { ...counts, evictable: evictable.toJSON(), byBucket: formatByBucket(byBucket) };
}

/** Undefined for anything that `formatSummary` does not return. */
export function parseSummary(value: unknown): ShardSummary | undefined {
  const fields = fieldsOf(value) ?? {};
  const { startedMs, sweptAtMs, bytes, chunks, pinnedBytes, foreignNames } = fields;
  const evictable = Histogram.parse(fields['evictable']);
  const byBucket = parseByBucket(fields['byBucket']);
  if (evictable === undefined || byBucket === undefined) return undefined;
  if (!isCount(startedMs) || !isCount(sweptAtMs) || !isCount(foreignNames)) return undefined;
  if (!isCount(bytes) || !isCount(chunks) || !isCount(pinnedBytes)) return undefined;
  return { startedMs, sweptAtMs, bytes, chunks, pinnedBytes, evictable, byBucket, foreignNames };
}
