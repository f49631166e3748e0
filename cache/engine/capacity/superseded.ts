/**
 * Versions that a newer one has replaced: deleted after `minAge`, unless clients still read them. A replica that does
 * not know the new version yet serves the old one, and the same content may be written again.
 */
import { keyHigh, shardOf } from '#cache/core/capacity/chunk-key.ts';
import { shardOfMeta } from '#cache/core/capacity/records.ts';
import type { ReportParts } from '#cache/core/capacity/report-codec.ts';
import type { Room } from './room.ts';

/** LRU catches the versions that find no place. */
const MAX_VERSIONS = 10_000;
/** A version that is still read after a day is current again. */
const GIVE_UP_MS = 24 * 60 * 60_000;
/** Reads in the minute of the news and in the next one began before all replicas had it. */
const TOLERATED_MINUTES = 1;
/** Without `minAge`, or if the cachestore fails: not more often. */
const MIN_WAIT_MS = 10_000;

interface Entry {
  readonly hex: string;
  readonly firstMs: number;
  /** Reads after it are those of a version in use. */
  readonly newsMinute: number;
  sinceMs: number;
}

export class Superseded {
  readonly #room: Room;
  /** By version, those of whom we learned first come first. */
  readonly #versions = new Map<string, Entry>();
  /** By shard and upper half of the key, which all chunks of a version share. */
  readonly #byKey = new Map<string, Entry>();

  constructor(room: Room) {
    this.#room = room;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** Reads must be added first: they were reported before or with the news. */
  add(versions: ReportParts['superseded']): void {
    const { clock, time } = this.#room;
    for (const { hex } of versions) {
      if (this.#versions.has(hex)) continue;
      // Counted from the arrival of the news: the clocks of replicas may differ.
      const entry = { hex, firstMs: clock.now(), newsMinute: time.nowMinute(), sinceMs: clock.now() };
      this.#versions.set(hex, entry);
      this.#byKey.set(keyOf(shardOf(hex), keyHigh(hex)), entry);
    }
    for (const entry of this.#versions.values()) {
      if (this.#versions.size <= MAX_VERSIONS) break;
      this.#drop(entry);
    }
  }

  /** Postpones the removal of versions that are read. */
  read({ reads }: Pick<ReportParts, 'reads'>): void {
    if (this.#byKey.size === 0) return;
    const nowMs = this.#room.clock.now();
    reads.forEach((high, _low, minute, meta) => {
      const entry = this.#byKey.get(keyOf(shardOfMeta(meta), high));
      if (entry !== undefined && minute > entry.newsMinute + TOLERATED_MINUTES) entry.sinceMs = nowMs;
    });
  }

  /** Takes out what another replica owns. */
  takeWhere(isTaken: (shard: number) => boolean): ReportParts['superseded'] {
    const sinceMs = this.#room.clock.date();
    const taken: { hex: string; sinceMs: number }[] = [];
    for (const [hex, entry] of this.#versions)
      if (isTaken(shardOf(hex))) {
        this.#drop(entry);
        taken.push({ hex, sinceMs });
      }
    return taken;
  }

  /** When the next version may be removed, on our clock; undefined = no version waits. */
  dueMs(): number | undefined {
    let dueMs: number | undefined;
    for (const entry of this.#versions.values()) dueMs = Math.min(dueMs ?? Infinity, this.#dueMs(entry));
    return dueMs;
  }

  /** One version that is due. It is tried again later, unless `removed` is called. */
  next(): string | undefined {
    const nowMs = this.#room.clock.now();
    for (const entry of this.#versions.values()) {
      if (this.#dueMs(entry) > nowMs) continue;
      if (nowMs - entry.firstMs > GIVE_UP_MS) {
        this.#drop(entry);
        continue;
      }
      // Whatever becomes of it, others have their turn first.
      entry.sinceMs = nowMs;
      return entry.hex;
    }
    return undefined;
  }

  /** All its chunks are deleted, or pinned. */
  removed(hex: string): void {
    const entry = this.#versions.get(hex);
    if (entry !== undefined) this.#drop(entry);
  }

  #dueMs({ sinceMs }: Entry): number {
    return sinceMs + Math.max(this.#room.settings().minAgeMs, MIN_WAIT_MS);
  }

  #drop(entry: Entry): void {
    this.#versions.delete(entry.hex);
    const key = keyOf(shardOf(entry.hex), keyHigh(entry.hex));
    if (this.#byKey.get(key) === entry) this.#byKey.delete(key);
  }
}

function keyOf(shard: number, high: number): string {
  return `${shard} ${high}`;
}
