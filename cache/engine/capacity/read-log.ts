/**
 * What this replica has served, committed and found superseded since its last report. `touch` is called for every slice
 * of every body: it costs a look-up in a table, which is written once a chunk and minute.
 */
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { minuteOf, readKey, shardOf, type ChunkKey } from '#cache/core/capacity/chunk-key.ts';
import { bucketOf, isProven, metaOf, RecordRows, RecordTable, shardOfMeta } from '#cache/core/capacity/records.ts';
import type { CommittedChunk, ReportParts, SupersededVersion } from '#cache/core/capacity/report-codec.ts';
import type { Clock, PeerAddress } from '#cache/engine/ports.ts';

/** 3 MB; and more chunks than a replica reads in a minute. */
export const MAX_LOG_ENTRIES = 200_000;
/** LRU catches the versions that are not reported. */
const MAX_SUPERSEDED = 10_000;

export interface ReadLogOptions {
  readonly clock: Pick<Clock, 'date'>;
  /** Called once when the log is full; further entries are dropped until `take`. */
  readonly onFull: () => void;
  /** For tests. */
  readonly maxEntries?: number;
}

interface MutableParts extends ReportParts {
  readonly commits: CommittedChunk[];
  readonly superseded: SupersededVersion[];
}

export class ReadLog {
  readonly #options: Required<ReadLogOptions>;
  #buckets = new BucketNames();
  #reads: RecordTable;
  #commits: CommittedChunk[] = [];
  /** The time at which each was found superseded. */
  #superseded = new Map<string, number>();
  #isFull = false;
  readonly #key: ChunkKey = { high: 0, low: 0, shard: 0 };
  /** The names of one bucket come in a row. */
  #lastBucket = '';
  #lastNumber = 0;

  constructor(options: ReadLogOptions) {
    this.#options = { maxEntries: MAX_LOG_ENTRIES, ...options };
    this.#reads = this.#newTable();
  }

  get size(): number {
    return this.#reads.size + this.#commits.length + this.#superseded.size;
  }

  /** A client reads the chunk. */
  touch(path: string, bucket: string): void {
    if (this.#isFull) return;
    if (bucket !== this.#lastBucket) {
      this.#lastNumber = this.#buckets.numberOf(bucket);
      this.#lastBucket = bucket;
    }
    const key = this.#key;
    readKey(path, key);
    const minute = minuteOf(this.#options.clock.date());
    this.#reads.merge(key.high, key.low, minute, metaOf(key.shard, this.#lastNumber, false));
    this.#checkSize();
  }

  /** This replica has committed the chunk. */
  commit(path: string, sizeBytes: number): void {
    if (this.#isFull) return;
    const key = this.#key;
    readKey(path, key);
    this.#commits.push({ ...key, sizeBytes });
    this.#checkSize();
  }

  /** A newer version of the object is known. `versionHex`: the 64 hex digits of the old version's chunks. */
  supersede(versionHex: string): void {
    if (this.#isFull || this.#superseded.size >= MAX_SUPERSEDED || this.#superseded.has(versionHex)) return;
    this.#superseded.set(versionHex, this.#options.clock.date());
    this.#checkSize();
  }

  /** Everything since the last call, by the owner of its shard. */
  take(ownerOf: (shard: number) => PeerAddress): Map<PeerAddress, ReportParts> {
    const taken = new Map<PeerAddress, MutableParts>();
    const buckets = this.#buckets;
    const ofShard: MutableParts[] = [];
    const partsOf = (shard: number): MutableParts => (ofShard[shard] ??= partsFor(taken, ownerOf(shard), buckets));
    this.#reads.forEach((high, low, minute, meta) => partsOf(shardOfMeta(meta)).reads.push(high, low, minute, meta));
    for (const commit of this.#commits) partsOf(commit.shard).commits.push(commit);
    for (const [hex, sinceMs] of this.#superseded) partsOf(shardOf(hex)).superseded.push({ hex, sinceMs });
    this.#reads = this.#newTable();
    this.#commits = [];
    this.#superseded = new Map();
    this.#buckets = new BucketNames();
    this.#lastBucket = '';
    this.#lastNumber = 0;
    this.#isFull = false;
    return taken;
  }

  /** Puts back what could not be sent. */
  restore({ buckets, reads, commits, superseded }: ReportParts): void {
    const numbers: number[] = [];
    const room = (): boolean => this.size < this.#options.maxEntries;
    reads.forEach((high, low, minute, meta) => {
      if (!room()) return;
      const bucket = (numbers[bucketOf(meta)] ??= this.#buckets.numberOf(buckets.nameOf(bucketOf(meta))));
      this.#reads.merge(high, low, minute, metaOf(shardOfMeta(meta), bucket, isProven(meta)));
    });
    for (const commit of commits) if (room()) this.#commits.push(commit);
    for (const { hex, sinceMs } of superseded)
      if (room() && this.#superseded.size < MAX_SUPERSEDED) this.#superseded.set(hex, sinceMs);
    // No call of `onFull`: the receiver did not answer just now.
    this.#isFull = !room();
  }

  #newTable(): RecordTable {
    return new RecordTable(this.#options.maxEntries);
  }

  #checkSize(): void {
    if (this.size < this.#options.maxEntries) return;
    this.#isFull = true;
    this.#options.onFull();
  }
}

function partsFor(taken: Map<PeerAddress, MutableParts>, owner: PeerAddress, buckets: BucketNames): MutableParts {
  let parts = taken.get(owner);
  if (parts === undefined)
    taken.set(owner, (parts = { buckets, reads: new RecordRows(), commits: [], superseded: [] }));
  return parts;
}
