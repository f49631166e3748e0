/**
 * The ledgers of this replica's shards. Only what was reported since the last sweep is in memory; a sweep reads the ledger
 * from the cachestore, adds that, and writes it back. A lost ledger costs precision: its chunks count as last read when
 * they were stored.
 */
import { BucketNames } from '#cache/core/capacity/bucket-names.ts';
import { ledgerName } from '#cache/core/capacity/chunk-key.ts';
import { decodeLedger, encodeLedger } from '#cache/core/capacity/ledger-codec.ts';
import { Ledger, MAX_LEDGER_RECORDS } from '#cache/core/capacity/ledger.ts';
import { bucketOf, isProven, metaOf, RecordRows, RecordTable, shardOfMeta } from '#cache/core/capacity/records.ts';
import type { ReportParts } from '#cache/core/capacity/report-codec.ts';
import type { Room } from './room.ts';

/** 8 MB, in tables that are half full: more chunks than one replica's shards serve between two sweeps. */
const MAX_REPORTED = 250_000;

/** When and how a chunk was last read. */
export interface LastRead {
  readonly minute: number;
  readonly isProven: boolean;
  readonly bucket: string;
}

export class Ledgers {
  readonly #room: Room;
  readonly #maxReported: number;
  #buckets = new BucketNames();
  /** By shard, what was reported since its ledger was read. */
  readonly #reported = new Map<number, RecordTable>();

  constructor(room: Room, maxReported = MAX_REPORTED) {
    this.#room = room;
    this.#maxReported = maxReported;
  }

  /** Records that are not in the cachestore yet. */
  get reported(): number {
    let sum = 0;
    for (const { size } of this.#reported.values()) sum += size;
    return sum;
  }

  /** The last read of a chunk that was reported since its ledger was read; 0 = none. */
  reportedMinute(shard: number, high: number, low: number): number {
    return this.#reported.get(shard)?.minuteOf(high, low) ?? 0;
  }

  /** Adds reported reads. Beyond the limit, only records of chunks that have one are updated. */
  merge({ buckets, reads }: Pick<ReportParts, 'buckets' | 'reads'>): void {
    const numbers: number[] = [];
    const nowMinute = this.#room.time.nowMinute();
    let room = this.#maxReported - this.reported;
    reads.forEach((high, low, minute, meta) => {
      const shard = shardOfMeta(meta);
      const table = this.#tableOf(shard);
      if (room <= 0 && table.minuteOf(high, low) === 0) return;
      const sizeBefore = table.size;
      const bucket = (numbers[bucketOf(meta)] ??= this.#buckets.numberOf(buckets.nameOf(bucketOf(meta))));
      // A clock that is ahead must not protect a chunk for longer than others.
      table.merge(high, low, Math.min(minute, nowMinute), metaOf(shard, bucket, isProven(meta)));
      room -= table.size - sizeBefore;
    });
  }

  /** The shard with the most records, once they have half of the memory: its ledger should be written. */
  crowded(): number | undefined {
    if (this.reported < this.#maxReported / 2) return undefined;
    const [largest] = [...this.#reported].toSorted(([, a], [, b]) => b.size - a.size);
    return largest?.[0];
  }

  /** Shards with records that are not in the cachestore yet. */
  dirty(): number[] {
    return [...this.#reported].filter(([, table]) => table.size > 0).map(([shard]) => shard);
  }

  /** Takes out what was reported for shards that another replica owns. */
  takeWhere(isTaken: (shard: number) => boolean): Pick<ReportParts, 'buckets' | 'reads'> {
    const reads = new RecordRows();
    for (const [shard, table] of this.#reported)
      if (isTaken(shard)) {
        table.forEach((high, low, minute, meta) => reads.push(high, low, minute, meta));
        this.#reported.delete(shard);
      }
    const buckets = this.#buckets;
    // Names of buckets without reads must not take the places of others.
    if (this.#reported.size === 0) this.#buckets = new BucketNames();
    return { buckets, reads };
  }

  /** Reads the ledger from the cachestore, without what was reported since: for its summary. */
  async load(shard: number, signal: AbortSignal): Promise<Ledger> {
    const { originId, calls, observer } = this.#room;
    const name = ledgerName(originId, shard);
    const bytes = await calls.getSmall(name, signal);
    const ledger = bytes && decodeLedger(bytes, originId, shard);
    if (bytes !== undefined && ledger === undefined)
      observer.warn('cachestore: a ledger is unreadable; its chunks count as last read when they were stored', {
        ledger: name,
      });
    return ledger ?? new Ledger(originId, shard);
  }

  /** For a sweep. The caller must call `save` or `giveUp`. */
  async open(shard: number, signal: AbortSignal): Promise<OpenLedger> {
    const ledger = await this.load(shard, signal);
    const added = this.#reported.get(shard);
    this.#reported.delete(shard);
    const buckets = this.#buckets;
    const nowMinute = this.#room.time.nowMinute();
    added?.forEach((high, low, minute, meta) =>
      ledger.read(high, low, { minute, bucket: buckets.nameOf(bucketOf(meta)), isProven: isProven(meta) }, nowMinute),
    );
    return new OpenLedger(ledger, {
      since: (high, low) => this.#reported.get(shard)?.get(high, low),
      nameOf: (bucket) => this.#buckets.nameOf(bucket),
      giveUp: () => added && this.merge({ buckets, reads: added.rows() }),
      write: (bytes, signal) => this.#room.calls.putSmall(ledgerName(this.#room.originId, shard), bytes, signal),
    });
  }

  /** Writes what was reported for the shard. */
  async write(shard: number, signal: AbortSignal): Promise<void> {
    const open = await this.open(shard, signal);
    await open.save(signal);
  }

  #tableOf(shard: number): RecordTable {
    let table = this.#reported.get(shard);
    if (table === undefined) this.#reported.set(shard, (table = new RecordTable(MAX_LEDGER_RECORDS)));
    return table;
  }
}

interface LedgerSource {
  /** What was reported since the ledger was opened. */
  readonly since: (high: number, low: number) => { readonly minute: number; readonly meta: number } | undefined;
  readonly nameOf: (bucket: number) => string;
  /** Puts back what was added. */
  readonly giveUp: () => void;
  readonly write: (bytes: Uint8Array, signal: AbortSignal) => Promise<void>;
}

/** A ledger in memory. */
export class OpenLedger {
  readonly ledger: Ledger;
  readonly #source: LedgerSource;

  constructor(ledger: Ledger, source: LedgerSource) {
    this.ledger = ledger;
    this.#source = source;
  }

  /** The last read of a chunk, as of now. */
  lastRead(high: number, low: number): LastRead | undefined {
    const known = this.ledger.get(high, low);
    const since = this.#source.since(high, low);
    if (since === undefined) return known;
    return {
      minute: Math.max(since.minute, known?.minute ?? 0),
      isProven: isProven(since.meta) || (known !== undefined && (known.isProven || known.minute !== since.minute)),
      bucket: known?.bucket ?? this.#source.nameOf(bucketOf(since.meta)),
    };
  }

  async save(signal: AbortSignal): Promise<void> {
    try {
      await this.#source.write(encodeLedger(this.ledger), signal);
    } catch (error) {
      this.giveUp();
      throw error;
    }
  }

  giveUp(): void {
    this.#source.giveUp();
  }
}
