/**
 * The cachestore's own time. Chunks carry its time of modification, and the clocks of replicas may be wrong or jump: the age
 * of a chunk is the difference of two times of the same clock. `nowMs` is never ahead of the store's clock, so that no
 * chunk seems older than it is.
 */
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { StoreCalls } from './store-calls.ts';

/** A store's clock that was set back is noticed after this time. */
const RENEW_MS = 10 * 60_000;

export interface StoreTimeOptions {
  readonly originId: string;
  readonly calls: StoreCalls;
  readonly clock: Clock;
}

export class StoreTime {
  readonly #options: StoreTimeOptions;
  /** A time of the store, and our monotonic time by which it had come. */
  #known: { readonly storeMs: number; readonly atMs: number } | undefined;
  #readMs = -Infinity;

  constructor(options: StoreTimeOptions) {
    this.#options = options;
  }

  /** A lower bound; undefined = nothing is known. */
  nowMs(): number | undefined {
    return this.#known && this.#known.storeMs + (this.#options.clock.now() - this.#known.atMs);
  }

  /** For the order of reads, where a minute more or less does not matter. */
  nowMinute(): number {
    return minuteOf((this.#isRead ? this.nowMs() : undefined) ?? this.#options.clock.date());
  }

  /** Something was modified at this time, which therefore has come. */
  seen(modifiedMs: number): void {
    if (this.#isRead || (this.nowMs() ?? -Infinity) >= modifiedMs) return;
    this.#known = { storeMs: modifiedMs, atMs: this.#options.clock.now() };
  }

  /** Writes a small object and lists it, if that was not done lately. Without it `seen` has to do. */
  async read(signal: AbortSignal): Promise<void> {
    const { calls, clock, originId } = this.#options;
    if (clock.now() - this.#readMs < RENEW_MS) return;
    const name = `_orca/clock/${originId}`;
    await calls.putSmall(name, new Uint8Array(1), signal);
    for await (const entries of calls.list(name, signal))
      for (const entry of entries)
        if (entry.name === name) {
          this.#readMs = clock.now();
          this.#known = { storeMs: entry.modifiedMs, atMs: this.#readMs };
        }
  }

  get #isRead(): boolean {
    return this.#readMs !== -Infinity;
  }
}
