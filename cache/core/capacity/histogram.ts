/**
 * Bytes by the minute of their last read, in two classes: chunks that were read again, and chunks that were read once.
 * The classes age at different speeds, so they are kept apart until a cutoff is computed for a certain time (cutoff.ts).
 *
 * An entry stands for the bytes up to its minute, back to the entry before it. So what a cutoff frees is never
 * overestimated: eviction makes progress with each sweep.
 */
import { isArrayUpTo, isCount } from './fields.ts';

/** 10 KB in a message. An entry has less than a hundredth of the bytes, or is one minute. */
export const MAX_HISTOGRAM_ENTRIES = 256;
/**
 * For one of the 256 shards: an entry has a thirtieth of its bytes. A report adds up the entries of all shards; with 256
 * each, that would block the event loop for 40 ms.
 */
export const MAX_SHARD_ENTRIES = 64;

export interface HistogramEntry {
  readonly minute: number;
  /** Of chunks that were read again. */
  readonly provenBytes: number;
  /** Of chunks that were read once. */
  readonly onceBytes: number;
}

export class Histogram {
  readonly #proven = new Map<number, number>();
  readonly #once = new Map<number, number>();
  #totalBytes = 0;

  add(minute: number, bytes: number, isProven: boolean): void {
    const known = isProven ? this.#proven : this.#once;
    known.set(minute, (known.get(minute) ?? 0) + bytes);
    this.#totalBytes += bytes;
  }

  /** Undoes an `add`, also after `compact`. */
  remove(minute: number, bytes: number, isProven: boolean): void {
    const known = isProven ? this.#proven : this.#once;
    const later = known.has(minute) ? [] : [...known.keys()].filter((other) => other > minute);
    const entry = later.length === 0 ? minute : Math.min(...later);
    const left = known.get(entry) ?? 0;
    const removed = Math.min(left, bytes);
    if (removed === left) known.delete(entry);
    else known.set(entry, left - removed);
    this.#totalBytes -= removed;
  }

  merge(other: Histogram): void {
    for (const [minute, bytes] of other.#proven) this.add(minute, bytes, true);
    for (const [minute, bytes] of other.#once) this.add(minute, bytes, false);
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** By minute. */
  entries(): readonly HistogramEntry[] {
    const minutes = Uint32Array.from(new Set([...this.#proven.keys(), ...this.#once.keys()])).toSorted();
    return Array.from(minutes, (minute) => ({
      minute,
      provenBytes: this.#proven.get(minute) ?? 0,
      onceBytes: this.#once.get(minute) ?? 0,
    }));
  }

  /** This one, or another with at most `maxEntries`: neighbors become one, with the later minute, while they have few bytes. */
  compact(maxEntries = MAX_HISTOGRAM_ENTRIES): Histogram {
    // Sums need not be sorted to be small enough; those of the shards are checked with each report.
    if (this.#proven.size + this.#once.size <= maxEntries) return this;
    const entries = this.entries();
    if (entries.length <= maxEntries) return this;
    const compacted = new Histogram();
    // Two neighbors have more bytes together, so that there are fewer than `maxEntries` of them.
    const maxBytes = this.#totalBytes / (maxEntries / 2 - 1);
    let group: HistogramEntry = { minute: 0, provenBytes: 0, onceBytes: 0 };
    for (const entry of entries) {
      const joined = {
        minute: entry.minute,
        provenBytes: group.provenBytes + entry.provenBytes,
        onceBytes: group.onceBytes + entry.onceBytes,
      };
      const fits = sizeOf(group) === 0 || sizeOf(joined) <= maxBytes;
      if (!fits) compacted.#addEntry(group);
      group = fits ? joined : entry;
    }
    compacted.#addEntry(group);
    return compacted;
  }

  /** `[minute, provenBytes, onceBytes]` each. */
  toJSON(): readonly (readonly [number, number, number])[] {
    return this.compact()
      .entries()
      .map(({ minute, provenBytes, onceBytes }) => [minute, provenBytes, onceBytes]);
  }

  /** Undefined for anything that `toJSON` does not return. */
  static parse(value: unknown): Histogram | undefined {
    if (!isArrayUpTo(value, MAX_HISTOGRAM_ENTRIES)) return undefined;
    const histogram = new Histogram();
    for (const entry of value) {
      if (!isArrayUpTo(entry, 3)) return undefined;
      const [minute, provenBytes, onceBytes] = entry;
      if (!isCount(minute) || minute > MAX_MINUTE || !isCount(provenBytes) || !isCount(onceBytes)) return undefined;
      histogram.#addEntry({ minute, provenBytes, onceBytes });
    }
    return isCount(histogram.totalBytes) ? histogram : undefined;
  }

  #addEntry({ minute, provenBytes, onceBytes }: HistogramEntry): void {
    if (provenBytes > 0) this.add(minute, provenBytes, true);
    if (onceBytes > 0) this.add(minute, onceBytes, false);
  }
}

/** Minutes are stored in 32 bits. */
const MAX_MINUTE = 2 ** 32 - 1;

function sizeOf({ provenBytes, onceBytes }: HistogramEntry): number {
  return provenBytes + onceBytes;
}
