/** Values of the bounded cachestore for tests: versions, records, figures. */
import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import type { ShardSummary } from '#cache/core/capacity/shard-summary.ts';
import type { StoreAccount } from '#cache/core/capacity/store-account.ts';
import { ACCOUNT_STATES } from '#cache/core/capacity/store-account.ts';
import type { UsageReport } from '#cache/core/capacity/usage-codec.ts';

export const ORIGIN_ID = 'lake-1';

/** 64 hex digits for a name. */
export function versionOf(name: string | number): string {
  return hash('sha256', String(name), 'hex');
}

export function chunkPathOf(name: string | number, index: number, originId = ORIGIN_ID): string {
  return `${originId}/${versionOf(name)}/${index}`;
}

export const word = fc.nat(0xffff_ffff);
export const minute = fc.integer({ min: 1, max: 0xffff_ffff });
/** A size of a chunk, or of a few: sums of many stay exact. */
export const sizeBytes = fc.nat(2 ** 40);
/** A bucket of S3 or of Azure, or a name that JSON or an object treats differently. */
export const bucketName = fc.oneof(
  fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  fc.constantFrom('$root', '__proto__', 'constructor', 'é"\\'),
);

export const bucketNames = fc.uniqueArray(bucketName, { maxLength: 12 }).map((names) => new BucketNames(names));

export const byBucket = fc
  .uniqueArray(fc.tuple(bucketName, sizeBytes), { maxLength: 12, selector: ([name]) => name })
  .map((pairs) => new Map(pairs));

export interface HistogramRead {
  readonly minute: number;
  readonly bytes: number;
  readonly isProven: boolean;
}

export const histogramRead: fc.Arbitrary<HistogramRead> = fc.record({
  minute: fc.integer({ min: 1, max: 30_000_000 }),
  bytes: fc.integer({ min: 1, max: 2 ** 33 }),
  isProven: fc.boolean(),
});

export function histogramOf(reads: Iterable<HistogramRead>): Histogram {
  const histogram = new Histogram();
  for (const { minute, bytes, isProven } of reads) histogram.add(minute, bytes, isProven);
  return histogram;
}

export const histogram = fc.array(histogramRead, { maxLength: 40 }).map(histogramOf);

const time = fc.nat(Number.MAX_SAFE_INTEGER);
const optionalTime = fc.option(time, { nil: undefined });

export const shardSummary: fc.Arbitrary<ShardSummary> = fc.record({
  startedMs: time,
  sweptAtMs: time,
  bytes: sizeBytes,
  chunks: fc.nat(),
  pinnedBytes: sizeBytes,
  evictable: histogram,
  byBucket,
  foreignNames: fc.nat(),
});

export const usageReport: fc.Arbitrary<UsageReport> = fc
  .record({
    originId: fc.constant(ORIGIN_ID),
    epoch: fc.stringMatching(/^[0-9a-f]{16}$/),
    covered: fc.uniqueArray(fc.nat(255)),
    bytes: sizeBytes,
    chunks: fc.nat(),
    pinnedBytes: sizeBytes,
    evictable: histogram,
    byBucket,
    isFull: fc.boolean(),
    lastSweepMs: optionalTime,
    oldestSweepMs: optionalTime,
    evictedBytes: fc.record({ capacity: sizeBytes, idle: sizeBytes, superseded: sizeBytes, full: sizeBytes }),
  })
  .chain((report) =>
    fc.option(fc.string({ minLength: 1, maxLength: 40 }), { nil: undefined }).map((deniedReason) => ({
      ...report,
      ...(deniedReason !== undefined && { deniedReason }),
    })),
  );

export const storeAccount: fc.Arbitrary<StoreAccount> = fc
  .record({
    state: fc.constantFrom(...ACCOUNT_STATES),
    usedBytes: sizeBytes,
    chunks: fc.nat(),
    pinnedBytes: sizeBytes,
    capacityBytes: fc.option(sizeBytes, { nil: undefined }),
    foreignBytes: sizeBytes,
    byBucket,
    byAge: fc.array(fc.record({ upToMinutes: fc.option(fc.nat()), bytes: sizeBytes }), { maxLength: 11 }),
    oldestReadMinute: fc.option(minute, { nil: undefined }),
    lastSweepMs: optionalTime,
    oldestSweepMs: optionalTime,
    coveredShards: fc.nat(256),
  })
  .chain((account) =>
    fc.constantFrom(undefined, 'recent', 'nothing_evictable').map((blocked) => ({
      ...account,
      ...(blocked !== undefined && { blocked }),
    })),
  );

/** `bytes` cut, extended, or with one byte changed: what a store or a network may do to them. */
export function damagedBytes(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc
    .record({ how: fc.nat(3), at: fc.nat(Math.max(0, bytes.length - 1)), value: fc.nat(254) })
    .map(({ how, at, value }) => {
      if (how === 0) return bytes.slice(0, at);
      if (how === 1) return Buffer.concat([bytes, Buffer.alloc(1 + (value % 16), value)]);
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at]! + 1 + value) % 256;
      return changed;
    });
}
