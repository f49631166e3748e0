/** What one shard holds: what its last sweep has found, and what has changed since. */
import { addBucketBytes } from '#cache/core/capacity/bucket-names.ts';
import { MINUTE_MS, minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { Histogram, MAX_SHARD_ENTRIES } from '#cache/core/capacity/histogram.ts';
import { RecordTable } from '#cache/core/capacity/records.ts';
import type { CommittedChunk } from '#cache/core/capacity/report-codec.ts';
import type { ShardSummary } from '#cache/core/capacity/shard-summary.ts';
import { minuteOfTick, tickOf } from './ticks.ts';

/** A minute's commits of one shard; a report that comes later counts a chunk twice, until the next sweep. */
const MAX_RECENT = 2_000;
/** Reports of commits arrive within a minute; one that was not delivered, a minute later. */
export const RECENT_MS = 3 * MINUTE_MS;

export interface CountedChunk {
  readonly high: number;
  readonly low: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** When it was last read. */
  readonly minute: number;
  readonly isProven: boolean;
  readonly bucket: string;
}

export class ShardCount {
  readonly startedMs: number;
  sweptAtMs: number;
  #bytes = 0;
  #chunks = 0;
  #pinnedBytes = 0;
  /** By tick. */
  #evictable = new Histogram();
  readonly #byBucket = new Map<string, number>();
  #foreignNames = 0;
  /** Bytes by the tick in which they were stored, until they are old enough to be evicted. */
  readonly #young = new Map<number, number>();
  /** Chunks that were stored shortly before they were listed: their commits may be reported later. */
  readonly #recent = new RecordTable(MAX_RECENT);

  constructor(startedMs: number) {
    this.startedMs = startedMs;
    this.sweptAtMs = startedMs;
  }

  static of(summary: ShardSummary): ShardCount {
    const count = new ShardCount(summary.startedMs);
    count.sweptAtMs = summary.sweptAtMs;
    count.#bytes = summary.bytes;
    count.#chunks = summary.chunks;
    count.#pinnedBytes = summary.pinnedBytes;
    count.#evictable.merge(summary.evictable);
    for (const [bucket, bytes] of summary.byBucket) count.#byBucket.set(bucket, bytes);
    count.#foreignNames = summary.foreignNames;
    return count;
  }

  /** A chunk of the list that stays. */
  add(chunk: CountedChunk, kind: 'pinned' | 'young' | 'evictable', isRecent: boolean): void {
    const { sizeBytes } = chunk;
    this.#bytes += sizeBytes;
    this.#chunks++;
    addBucketBytes(this.#byBucket, chunk.bucket, sizeBytes);
    if (kind === 'pinned') this.#pinnedBytes += sizeBytes;
    else if (kind === 'young') this.#addYoung(tickOf(minuteOf(chunk.modifiedMs), chunk.low), sizeBytes);
    else this.#evictable.add(tickOf(chunk.minute, chunk.low), sizeBytes, chunk.isProven);
    if (isRecent && this.#recent.size < MAX_RECENT) this.#recent.set(chunk.high, chunk.low, chunk.minute, 0);
  }

  /** A name that is not a chunk. */
  addForeign(): void {
    this.#foreignNames++;
  }

  /** A commit that a replica has reported, unless the sweep has seen the chunk. */
  commit({ high, low, sizeBytes }: CommittedChunk, nowMinute: number): void {
    if (this.#recent.delete(high, low)) return;
    this.#bytes += sizeBytes;
    this.#chunks++;
    this.#addYoung(tickOf(nowMinute, low), sizeBytes);
  }

  /** A counted chunk has been deleted since the sweep. */
  removed({ sizeBytes, minute, low, isProven }: CountedChunk): void {
    this.#bytes = Math.max(0, this.#bytes - sizeBytes);
    this.#chunks = Math.max(0, this.#chunks - 1);
    this.#evictable.remove(tickOf(minute, low), sizeBytes, isProven);
  }

  /** `nowMs`: of the store. What has become old enough counts as evictable. */
  summary(nowMs: number | undefined, minAgeMs: number): ShardSummary {
    for (const [tick, bytes] of this.#young)
      if (nowMs !== undefined && minuteOfTick(tick + 1) * MINUTE_MS + minAgeMs <= nowMs) {
        this.#young.delete(tick);
        this.#evictable.add(tick, bytes, false);
      }
    this.#evictable = this.#evictable.compact(MAX_SHARD_ENTRIES);
    return {
      startedMs: this.startedMs,
      sweptAtMs: this.sweptAtMs,
      bytes: this.#bytes,
      chunks: this.#chunks,
      pinnedBytes: this.#pinnedBytes,
      evictable: this.#evictable,
      byBucket: this.#byBucket,
      foreignNames: this.#foreignNames,
    };
  }

  #addYoung(tick: number, sizeBytes: number): void {
    this.#young.set(tick, (this.#young.get(tick) ?? 0) + sizeBytes);
  }
}
