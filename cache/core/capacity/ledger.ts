/** The ledger of one shard: when its chunks were read, and what the last sweep found. */
import { BucketNames } from './bucket-names.ts';
import { bucketOf, isProven, metaOf, RecordTable, SEEN } from './records.ts';
import type { ShardSummary } from './shard-summary.ts';

/**
 * 3.8 MB: a small object in the store may have 4 MiB, with the header. With more than 61 million chunks in the store,
 * those that were read the longest time ago lose their records, and count as read when they were stored.
 */
export const MAX_LEDGER_RECORDS = 240_000;

export interface ChunkRead {
  readonly minute: number;
  readonly bucket: string;
  readonly isProven: boolean;
}

export class Ledger {
  readonly originId: string;
  readonly shard: number;
  buckets: BucketNames;
  readonly records: RecordTable;
  /** The last sweep that ended. */
  summary: ShardSummary | undefined;

  constructor(
    originId: string,
    shard: number,
    buckets = new BucketNames(),
    records = new RecordTable(MAX_LEDGER_RECORDS),
  ) {
    this.originId = originId;
    this.shard = shard;
    this.buckets = buckets;
    this.records = records;
  }

  /** Records a read of a chunk. A clock that is ahead must not protect it for years. */
  read(high: number, low: number, read: ChunkRead, nowMinute: number): void {
    const meta = metaOf(this.shard, this.buckets.numberOf(read.bucket), read.isProven);
    this.records.merge(high, low, Math.min(read.minute, nowMinute), meta);
  }

  get(high: number, low: number): ChunkRead | undefined {
    const record = this.records.get(high, low);
    if (record === undefined) return undefined;
    const { minute, meta } = record;
    return { minute, bucket: this.buckets.nameOf(bucketOf(meta)), isProven: isProven(meta) };
  }

  delete(high: number, low: number): void {
    this.records.delete(high, low);
  }

  /** A sweep has seen the chunk in the store. */
  seen(high: number, low: number): void {
    this.records.mark(high, low, SEEN);
  }

  /**
   * A sweep has ended that has seen every chunk which was in the store when it started: drops the records of others, but
   * for those that were read since. Names of buckets without records must not take the places of others.
   */
  dropUnseen(startedMinute: number): void {
    const buckets = new BucketNames();
    const numbers: number[] = [];
    this.records.rewrite((minute, meta) => {
      if ((meta & SEEN) === 0 && minute < startedMinute) return undefined;
      const bucket = (numbers[bucketOf(meta)] ??= buckets.numberOf(this.buckets.nameOf(bucketOf(meta))));
      return { meta: metaOf(this.shard, bucket, isProven(meta)) };
    });
    this.buckets = buckets;
  }
}
