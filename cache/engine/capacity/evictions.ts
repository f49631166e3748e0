/** What this replica has evicted: sums by reason, and the keys of a day, by which chunks that return are recognized. */
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { RecordTable } from '#cache/core/capacity/records.ts';
import type { CommittedChunk } from '#cache/core/capacity/report-codec.ts';
import type { EvictionReason } from '#cache/core/capacity/usage-codec.ts';
import type { Room } from './room.ts';
import type { CountedChunk } from './shard-count.ts';

/** 3 MB. */
const MAX_REMEMBERED = 100_000;
/** A chunk that returns within a day should not have been evicted: the cachestore is small. */
const REMEMBERED_MINUTES = 24 * 60;

export interface EvictionsOptions {
  /** Called after each batch: there is room in the cachestore again. */
  readonly onRoom: () => void;
  /** Called with the name of each chunk. */
  readonly onEvicted: (name: string) => void;
}

export class Evictions {
  readonly #room: Room;
  readonly #options: EvictionsOptions;
  readonly #remembered = new RecordTable(MAX_REMEMBERED);
  readonly #bytes: Record<EvictionReason, number> = { capacity: 0, idle: 0, superseded: 0, full: 0 };

  constructor(room: Room, options: EvictionsOptions) {
    this.#room = room;
    this.#options = options;
  }

  /** Since the process started. */
  get bytes(): Readonly<Record<EvictionReason, number>> {
    return { ...this.#bytes };
  }

  /** A batch of chunks that have been deleted. */
  evicted(chunks: readonly { readonly name: string; readonly reason: EvictionReason; readonly chunk: CountedChunk }[]) {
    if (chunks.length === 0) return;
    const minute = this.#minute();
    const sums = new Map<EvictionReason, { bytes: number; chunks: number }>();
    for (const { name, reason, chunk } of chunks) {
      const sum = sums.get(reason) ?? { bytes: 0, chunks: 0 };
      sums.set(reason, { bytes: sum.bytes + chunk.sizeBytes, chunks: sum.chunks + 1 });
      this.#bytes[reason] += chunk.sizeBytes;
      // That a superseded or idle chunk returns does not mean that there is little room.
      if (reason === 'capacity' || reason === 'full') this.#remembered.set(chunk.high, chunk.low, minute, 0);
      this.#options.onEvicted(name);
    }
    for (const [reason, sum] of sums) this.#room.observer.evicted(reason, sum.bytes, sum.chunks);
    this.#options.onRoom();
  }

  /** A replica has committed the chunk. */
  committed({ high, low, sizeBytes }: CommittedChunk): void {
    const minute = this.#remembered.minuteOf(high, low);
    if (minute === 0) return;
    this.#remembered.delete(high, low);
    if (this.#minute() - minute < REMEMBERED_MINUTES) this.#room.observer.refilled(sizeBytes);
  }

  /** Monotonic. */
  #minute(): number {
    return minuteOf(this.#room.clock.now());
  }
}
