/** What a replica reports to the accountant about its shards, and the answer. `POST /internal/usage`, JSON. */
import { OrcaError } from '#cache/core/errors.ts';
import { formatByBucket, largestBuckets, MAX_BUCKETS, parseByBucket, type BytesByBucket } from './bucket-names.ts';
import { SHARDS } from './chunk-key.ts';
import { fieldsOf, isArrayUpTo, isCount, isEpoch, isOptionalCount, isOriginId, isText, parseFields } from './fields.ts';
import { Histogram } from './histogram.ts';
import { formatAccount, parseAccount, type StoreAccount } from './store-account.ts';

/** A receiver collects the body before it can authenticate it. */
export const MAX_USAGE_BYTES = 64 * 1024;

export const EVICTION_REASONS = ['capacity', 'idle', 'superseded', 'full'] as const;
export type EvictionReason = (typeof EVICTION_REASONS)[number];

export interface UsageReport {
  readonly originId: string;
  /** The epoch of the sender's view of the replicas. */
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
  /** Chunks whose `effectiveMinute` is below it are evicted. */
  readonly cutoffMinute?: number;
  /** The minute for which the cutoff was computed: `nowMinute` of `effectiveMinute`. */
  readonly atMinute?: number;
  /** How much of it the sender may free until its next report. */
  readonly freeBytes?: number;
  /** Sweep now, and report again in a few seconds. */
  readonly urgent: boolean;
}

/** A message of a server; longer ones are cut. */
const MAX_REASON_LENGTH = 300;

/** Names of buckets are left out, the smallest first, until the message fits. */
export function encodeUsageReport(report: UsageReport): Uint8Array {
  const { byBucket, evictable, deniedReason, ...plain } = report;
  return encodeWithBuckets(byBucket, (buckets) => ({
    ...plain,
    ...(deniedReason !== undefined && { deniedReason: deniedReason.slice(0, MAX_REASON_LENGTH).toWellFormed() }),
    evictable: evictable.toJSON(),
    byBucket: buckets,
  }));
}

/** Throws `bad_request`. */
export function decodeUsageReport(bytes: Uint8Array): UsageReport {
  const report = bytes.length > MAX_USAGE_BYTES ? undefined : parseReport(bytes);
  if (report === undefined) throw new OrcaError('bad_request', 'the report of usage is malformed');
  return report;
}

function parseReport(bytes: Uint8Array): UsageReport | undefined {
  const fields = parseFields(bytes) ?? {};
  const { originId, epoch, isFull, lastSweepMs, oldestSweepMs, deniedReason } = fields;
  const { bytes: totalBytes, chunks, pinnedBytes } = fields;
  const covered = parseShards(fields['covered']);
  const evictable = Histogram.parse(fields['evictable']);
  const byBucket = parseByBucket(fields['byBucket']);
  const evictedBytes = parseEvicted(fields['evictedBytes']);
  if (covered === undefined || evictable === undefined || byBucket === undefined || evictedBytes === undefined)
    return undefined;
  if (!isOriginId(originId) || !isEpoch(epoch) || typeof isFull !== 'boolean') return undefined;
  if (!isCount(totalBytes) || !isCount(chunks) || !isCount(pinnedBytes)) return undefined;
  if (!isOptionalCount(lastSweepMs) || !isOptionalCount(oldestSweepMs)) return undefined;
  if (deniedReason !== undefined && !isText(deniedReason, MAX_REASON_LENGTH)) return undefined;
  return {
    originId,
    epoch,
    covered,
    bytes: totalBytes,
    chunks,
    pinnedBytes,
    evictable,
    byBucket,
    isFull,
    ...(deniedReason !== undefined && { deniedReason }),
    lastSweepMs,
    oldestSweepMs,
    evictedBytes,
  };
}

export function encodeUsageAnswer({ account, cutoffMinute, atMinute, freeBytes, urgent }: UsageAnswer): Uint8Array {
  return encodeWithBuckets(account.byBucket, (buckets) => ({
    account: { ...formatAccount(account), byBucket: buckets },
    cutoffMinute,
    atMinute,
    freeBytes,
    urgent,
  }));
}

/** Throws `peer_unavailable`. */
export function decodeUsageAnswer(bytes: Uint8Array): UsageAnswer {
  const { cutoffMinute, atMinute, freeBytes, urgent, ...fields } =
    (bytes.length > MAX_USAGE_BYTES ? undefined : parseFields(bytes)) ?? {};
  const account = parseAccount(fields['account']);
  const isCutoff = cutoffMinute === undefined || (typeof cutoffMinute === 'number' && Number.isFinite(cutoffMinute));
  const areCounts = isOptionalCount(atMinute) && isOptionalCount(freeBytes);
  if (account === undefined || !isCutoff || !areCounts || typeof urgent !== 'boolean')
    throw new OrcaError('peer_unavailable', 'the answer to a report of usage is malformed');
  return {
    account,
    ...(cutoffMinute !== undefined && { cutoffMinute }),
    ...(atMinute !== undefined && { atMinute }),
    ...(freeBytes !== undefined && { freeBytes }),
    urgent,
  };
}

/** What a cache publishes for the other caches of the store. */
export interface PublishedUsage {
  readonly originId: string;
  readonly usedBytes: number;
  readonly chunks: number;
  readonly atMs: number;
}

const PUBLISHED_FORMAT = 1;

export function encodePublishedUsage(usage: PublishedUsage): Uint8Array {
  return Buffer.from(JSON.stringify({ format: PUBLISHED_FORMAT, ...usage }));
}

/** Undefined for anything else. */
export function decodePublishedUsage(bytes: Uint8Array): PublishedUsage | undefined {
  const { format, originId, usedBytes, chunks, atMs } = parseFields(bytes) ?? {};
  if (format !== PUBLISHED_FORMAT || !isOriginId(originId)) return undefined;
  if (!isCount(usedBytes) || !isCount(chunks) || !isCount(atMs)) return undefined;
  return { originId, usedBytes, chunks, atMs };
}

type BucketPairs = ReturnType<typeof formatByBucket>;

function encodeWithBuckets(byBucket: BytesByBucket, message: (buckets: BucketPairs) => unknown): Uint8Array {
  for (let names = MAX_BUCKETS; ; names = Math.floor(names / 2)) {
    const bytes = Buffer.from(JSON.stringify(message(formatByBucket(largestBuckets(byBucket, names)))));
    if (bytes.length <= MAX_USAGE_BYTES || names === 0) return bytes;
  }
}

/** Undefined unless each is a shard that occurs once. */
function parseShards(value: unknown): number[] | undefined {
  if (!isArrayUpTo(value, SHARDS)) return undefined;
  const shards = value.filter((shard): shard is number => isCount(shard) && shard < SHARDS);
  return shards.length === value.length && new Set(shards).size === shards.length ? shards : undefined;
}

function parseEvicted(value: unknown): Record<EvictionReason, number> | undefined {
  const { capacity, idle, superseded, full } = fieldsOf(value) ?? {};
  if (!isCount(capacity) || !isCount(idle) || !isCount(superseded) || !isCount(full)) return undefined;
  return { capacity, idle, superseded, full };
}
