/**
 * Eviction without a store and without an engine: reports, ledgers, sweeps and cutoff, on a trace of reads. What the
 * engine adds, such as batches and several owners, does not change which chunks are evicted.
 */
import { keyHigh, keyLow, minuteOf, shardOf, SHARDS } from '#cache/core/capacity/chunk-key.ts';
import { effectiveMinute, planEviction } from '#cache/core/capacity/cutoff.ts';
import { Histogram } from '#cache/core/capacity/histogram.ts';
import { Ledger } from '#cache/core/capacity/ledger.ts';
import { bucketOf, isProven, shardOfMeta } from '#cache/core/capacity/records.ts';
import type { PeerAddress } from '#cache/core/peer-set.ts';
import { ReadLog } from '#cache/engine/capacity/read-log.ts';
import { ORIGIN_ID } from './capacity.ts';
import { tracePath } from './read-trace.ts';

const MINUTE_MS = 60_000;
/** Rarer than in the engine: a report of few reads costs most of the test's time. */
const REPORT_MS = 20 * MINUTE_MS;
const SWEEP_MS = 60 * MINUTE_MS;
const MIN_AGE_MS = 10 * MINUTE_MS;
const SELF = '10.0.0.1:8444' as PeerAddress;

interface StoredChunk {
  readonly ledger: Ledger;
  readonly high: number;
  readonly low: number;
  readonly modifiedMs: number;
}

export class PureEviction {
  readonly #capacity: number;
  readonly #log: ReadLog;
  readonly #store = new Map<number, StoredChunk>();
  readonly #ledgers = Array.from({ length: SHARDS }, (_, shard) => new Ledger(ORIGIN_ID, shard));
  readonly #paths = new Map<number, string>();
  #nowMs = 29_000_000 * MINUTE_MS;
  #reportedMs = this.#nowMs;
  #sweptMs = this.#nowMs;
  largest = 0;

  /** Each chunk counts as one byte. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#log = new ReadLog({ clock: { date: () => this.#nowMs }, onFull: () => {} });
  }

  /** Whether the chunk was in the store; it is afterwards. */
  read(chunk: number, passedMs: number): boolean {
    this.#nowMs += passedMs;
    if (this.#nowMs - this.#reportedMs >= REPORT_MS) this.#report();
    if (this.#nowMs - this.#sweptMs >= SWEEP_MS) this.#sweep();
    const isHit = this.#store.has(chunk);
    const path = this.#pathOf(chunk);
    if (!isHit) this.#store.set(chunk, this.#stored(path));
    this.#log.touch(path, 'bucket');
    this.largest = Math.max(this.largest, this.#store.size);
    return isHit;
  }

  #pathOf(chunk: number): string {
    let path = this.#paths.get(chunk);
    if (path === undefined) this.#paths.set(chunk, (path = tracePath(ORIGIN_ID, chunk)));
    return path;
  }

  #stored(path: string): StoredChunk {
    const ledger = this.#ledgers[shardOf(path)]!;
    return { ledger, high: keyHigh(path), low: keyLow(path), modifiedMs: this.#nowMs };
  }

  #report(): void {
    this.#reportedMs = this.#nowMs;
    const nowMinute = minuteOf(this.#nowMs);
    for (const { buckets, reads } of this.#log.take(() => SELF).values())
      reads.forEach((high, low, minute, meta) => {
        const read = { minute, bucket: buckets.nameOf(bucketOf(meta)), isProven: isProven(meta) };
        this.#ledgers[shardOfMeta(meta)]!.read(high, low, read, nowMinute);
      });
  }

  /** Counts, plans and evicts. It counts only near the watermark, which saves most of the time of a test. */
  #sweep(): void {
    this.#sweptMs = this.#nowMs;
    if (this.#store.size < 0.9 * this.#capacity) return;
    this.#report();
    const nowMinute = minuteOf(this.#nowMs);
    const histogram = new Histogram();
    const evictable: { readonly chunk: number; readonly minute: number; readonly stored: StoredChunk }[] = [];
    for (const [chunk, stored] of this.#store) {
      if (this.#nowMs - stored.modifiedMs < MIN_AGE_MS) continue;
      const record = stored.ledger.get(stored.high, stored.low);
      const modifiedMinute = minuteOf(stored.modifiedMs);
      histogram.add(record?.minute ?? modifiedMinute, 1, record?.isProven ?? false);
      evictable.push({ chunk, stored, minute: effectiveMinute(record, modifiedMinute, stored.low, nowMinute) });
    }
    const { cutoffMinute = 0 } = planEviction({
      usedBytes: this.#store.size,
      capacityBytes: this.#capacity,
      highWatermark: 90,
      lowWatermark: 80,
      isEvicting: false,
      histogram: histogram.compact(),
      nowMinute,
    });
    for (const { chunk, minute, stored } of evictable)
      if (minute < cutoffMinute) {
        this.#store.delete(chunk);
        stored.ledger.delete(stored.high, stored.low);
      }
  }
}
