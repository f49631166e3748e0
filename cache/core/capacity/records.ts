/**
 * What is known about reads, 16 bytes a chunk: its key, the minute of its last read, and 32 bits for bucket, flags and
 * shard. A plain Map of objects would need ten times the memory, and give the garbage collector as much work.
 */

/** A flag in `meta`: the chunk was read in at least two different minutes. */
export const PROVEN = 1 << 16;
/** A flag in `meta`: a sweep has seen the chunk in the store. */
export const SEEN = 1 << 17;
export const RECORD_BYTES = 16;

export interface ChunkRecord {
  /** When the chunk was last read, since 1970. */
  readonly minute: number;
  readonly meta: number;
}

export type RecordVisitor = (high: number, low: number, minute: number, meta: number) => void;

export function metaOf(shard: number, bucket: number, isProven: boolean): number {
  return ((shard << 24) | bucket | (isProven ? PROVEN : 0)) >>> 0;
}

export function bucketOf(meta: number): number {
  return meta & 0xffff;
}

export function isProven(meta: number): boolean {
  return (meta & PROVEN) !== 0;
}

export function shardOfMeta(meta: number): number {
  return meta >>> 24;
}

/** Records in a row: what a report carries, and what a ledger stores. */
export class RecordRows {
  #words: Uint32Array;
  #size = 0;

  constructor(capacity = 64) {
    this.#words = new Uint32Array(capacity * 4);
  }

  get size(): number {
    return this.#size;
  }

  push(high: number, low: number, minute: number, meta: number): void {
    if (this.#size * 4 === this.#words.length) {
      const wider = new Uint32Array(Math.max(4, this.#words.length * 2));
      wider.set(this.#words);
      this.#words = wider;
    }
    const at = this.#size++ * 4;
    this.#words[at] = high;
    this.#words[at + 1] = low;
    this.#words[at + 2] = minute;
    this.#words[at + 3] = meta;
  }

  forEach(visit: RecordVisitor): void {
    const words = this.#words;
    for (let at = 0; at < this.#size * 4; at += 4) visit(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  }

  /** Little-endian. Writes the records `[from, to)`. */
  encodeInto(into: DataView, offset: number, from: number, to: number): void {
    for (let at = from * 4; at < to * 4; at++) into.setUint32(offset + (at - from * 4) * 4, this.#words[at]!, true);
  }

  /** Reads `count` records; those without a minute are left out. */
  static decode(from: DataView, offset: number, count: number): RecordRows {
    const rows = new RecordRows(count);
    for (let at = offset; at < offset + count * RECORD_BYTES; at += RECORD_BYTES) {
      const minute = from.getUint32(at + 8, true);
      if (minute === 0) continue;
      rows.push(from.getUint32(at, true), from.getUint32(at + 4, true), minute, from.getUint32(at + 12, true));
    }
    return rows;
  }
}

/** A hash table with open addressing and a limit; beyond it the records with the oldest minutes are dropped. */
export class RecordTable {
  readonly maxRecords: number;
  #words: Uint32Array;
  #size = 0;

  constructor(maxRecords: number, expectedRecords = 0) {
    this.maxRecords = maxRecords;
    this.#words = new Uint32Array(4 * slotsFor(Math.min(maxRecords, expectedRecords)));
  }

  get size(): number {
    return this.#size;
  }

  get(high: number, low: number): ChunkRecord | undefined {
    const at = this.#find(high, low);
    const minute = this.#words[at + 2]!;
    return minute === 0 ? undefined : { minute, meta: this.#words[at + 3]! };
  }

  /** 0 = no record. */
  minuteOf(high: number, low: number): number {
    return this.#words[this.#find(high, low) + 2]!;
  }

  /** Adds or replaces. */
  set(high: number, low: number, minute: number, meta: number): void {
    const at = this.#find(high, low);
    if (this.#words[at + 2] !== 0) this.#write(at, minute, meta);
    else this.#insert(high, low, minute, meta);
  }

  /** Adds a read: the later minute counts, and reads in two different minutes prove the chunk. */
  merge(high: number, low: number, minute: number, meta: number): void {
    const at = this.#find(high, low);
    const known = this.#words[at + 2]!;
    if (known === 0) {
      this.#insert(high, low, minute, meta);
      return;
    }
    const flags = (this.#words[at + 3]! & (PROVEN | SEEN)) | (known === minute ? 0 : PROVEN);
    // The bucket of a chunk never changes; a record without one gets it.
    const base = bucketOf(meta) === 0 ? this.#words[at + 3]! : meta;
    this.#write(at, Math.max(known, minute), (base | (meta & PROVEN) | flags) >>> 0);
  }

  /** Sets flags of a record, if there is one. */
  mark(high: number, low: number, flags: number): void {
    const at = this.#find(high, low);
    if (this.#words[at + 2] !== 0) this.#words[at + 3] = this.#words[at + 3]! | flags;
  }

  delete(high: number, low: number): boolean {
    const at = this.#find(high, low);
    if (this.#words[at + 2] === 0) return false;
    this.#removeAt(at);
    return true;
  }

  forEach(visit: RecordVisitor): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at += 4)
      if (words[at + 2] !== 0) visit(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  }

  /** Keeps the records for which `keep` returns their meta word, which may be a new one; 0 drops the record. */
  rewrite(keep: (minute: number, meta: number) => { readonly meta: number } | undefined): void {
    const kept = new RecordTable(this.maxRecords, this.#size);
    this.forEach((high, low, minute, meta) => {
      const next = keep(minute, meta);
      if (next !== undefined) kept.#insert(high, low, minute, next.meta);
    });
    this.#words = kept.#words;
    this.#size = kept.#size;
  }

  rows(): RecordRows {
    const rows = new RecordRows(this.#size);
    this.forEach((high, low, minute, meta) => rows.push(high, low, minute, meta));
    return rows;
  }

  /** The place of the record, or the free one where it would be. */
  #find(high: number, low: number): number {
    const words = this.#words;
    const mask = words.length / 4 - 1;
    for (let slot = slotOf(high, low) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * 4;
      if (words[at + 2] === 0 || (words[at] === high && words[at + 1] === low)) return at;
    }
  }

  #write(at: number, minute: number, meta: number): void {
    this.#words[at + 2] = minute;
    this.#words[at + 3] = meta;
  }

  #insert(high: number, low: number, minute: number, meta: number): void {
    if (this.#size >= this.maxRecords) this.#dropOldest();
    if ((this.#size + 1) * 4 > (this.#words.length / 4) * 3) this.#grow();
    const at = this.#find(high, low);
    this.#words[at] = high;
    this.#words[at + 1] = low;
    this.#write(at, minute, meta);
    this.#size++;
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(old.length * 2);
    for (let from = 0; from < old.length; from += 4)
      if (old[from + 2] !== 0) {
        const at = this.#find(old[from]!, old[from + 1]!);
        for (let word = 0; word < 4; word++) this.#words[at + word] = old[from + word]!;
      }
  }

  /** Drops about an eighth, so that a full table does not look for the oldest record with each new one. */
  #dropOldest(): void {
    const minutes = sampleMinutes(this.#words);
    const limit = minutes[Math.ceil(minutes.length / 8) - 1] ?? 0;
    let left = Math.max(1, Math.ceil(this.#size / 8));
    this.rewrite((minute, meta) => (minute <= limit && left-- > 0 ? undefined : { meta }));
  }

  /** Moves the records behind the gap forward, so that searches need no marks for deleted records. */
  #removeAt(gap: number): void {
    const words = this.#words;
    const mask = words.length / 4 - 1;
    let free = gap / 4;
    for (let slot = (free + 1) & mask; words[slot * 4 + 2] !== 0; slot = (slot + 1) & mask) {
      const home = slotOf(words[slot * 4]!, words[slot * 4 + 1]!) & mask;
      // A record whose home lies behind the gap must stay behind it.
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      for (let word = 0; word < 4; word++) words[free * 4 + word] = words[slot * 4 + word]!;
      free = slot;
    }
    words.fill(0, free * 4, free * 4 + 4);
    this.#size--;
  }
}

/** The smallest power of two that `records` fill to three quarters at most. */
function slotsFor(records: number): number {
  let slots = 16;
  while (records * 4 > slots * 3) slots *= 2;
  return slots;
}

/** Keys are digits of a SHA-256: they need no more mixing. */
function slotOf(high: number, low: number): number {
  return high ^ low ^ (low >>> 16);
}

/** The minutes of some 4,096 records, sorted: enough to estimate a quantile. */
function sampleMinutes(words: Uint32Array): Uint32Array {
  const minutes: number[] = [];
  const step = 4 * Math.max(1, Math.floor(words.length / 4 / 4096));
  for (let at = 2; at < words.length; at += step) if (words[at] !== 0) minutes.push(words[at]!);
  return Uint32Array.from(minutes).toSorted();
}
