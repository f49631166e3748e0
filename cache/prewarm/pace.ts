/**
 * How many bytes a second a run may read from the origin: a token bucket that may run into debt, so that chunks larger
 * than a second's share average out. Throttling by the origin halves the pace, which then grows back.
 */
import type { Clock } from '#shared/clock.ts';

/** What was not used is saved for as long: the rate holds over any longer time. */
const SAVED_MS = 1000;
/** Many requests in flight are refused at once, which is one message of the origin. */
const HALVED_AT_MOST_EVERY_MS = 1000;
/** A chunk may have 1 MiB: slower than that a run would not seem to move. */
const MIN_BYTES_PER_SECOND = 1024 * 1024;
/** By this factor a throttled pace grows in a second. */
const GROWTH = 1.1;
/** Without a limit of its own, a pace this many times above the one that was throttled is no limit any more. */
const RECOVERED = 4;
/** A limit can change at any time: no wait is longer before it is read again. */
const MAX_WAIT_MS = 1000;

export class Pace {
  readonly #clock: Clock;
  /** Undefined = no limit. */
  #limit: number | undefined;
  /** A lower pace while the origin throttles. */
  #throttled: { readonly bytesPerSecond: number; readonly sinceMs: number } | undefined;
  #halvedMs = -Infinity;
  /** Negative = debt. */
  #tokens = 0;
  #filledMs: number;

  constructor(clock: Clock, bytesPerSecond: number | undefined) {
    this.#clock = clock;
    this.#limit = bytesPerSecond;
    this.#filledMs = clock.now();
  }

  /** The limit now; undefined = none. */
  get bytesPerSecond(): number | undefined {
    const { now, limit, throttled } = { now: this.#clock.now(), limit: this.#limit, throttled: this.#throttled };
    if (throttled === undefined) return limit;
    const grown = throttled.bytesPerSecond * GROWTH ** ((now - throttled.sinceMs) / 1000);
    if (grown < (limit ?? throttled.bytesPerSecond * RECOVERED)) return grown;
    this.#throttled = undefined;
    return limit;
  }

  setLimit(bytesPerSecond: number | undefined): void {
    this.#fill();
    this.#limit = bytesPerSecond;
  }

  /** Resolves when `lengthBytes` may be requested from the origin; they count as read at once. */
  async take(lengthBytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      this.#fill();
      const rate = this.bytesPerSecond;
      if (rate === undefined || this.#tokens >= 0) break;
      await this.#clock.sleep(Math.min(MAX_WAIT_MS, Math.ceil((-this.#tokens * 1000) / rate)), signal);
    }
    this.#tokens -= lengthBytes;
  }

  /** Some of what was taken was not read from the origin; negative: more was. */
  giveBack(lengthBytes: number): void {
    this.#fill();
    this.#tokens += lengthBytes;
  }

  /** The origin asks for fewer requests. `measured`: the present bytes a second, for a pace without a limit. */
  throttled(measured: number): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#halvedMs < HALVED_AT_MOST_EVERY_MS) return;
    this.#fill();
    this.#halvedMs = nowMs;
    const bytesPerSecond = Math.max(MIN_BYTES_PER_SECOND, (this.bytesPerSecond ?? measured) / 2);
    this.#throttled = { bytesPerSecond, sinceMs: nowMs };
  }

  #fill(): void {
    const nowMs = this.#clock.now();
    const rate = this.bytesPerSecond;
    // Without a limit there is nothing to save or to owe.
    this.#tokens =
      rate === undefined
        ? 0
        : Math.min((rate * SAVED_MS) / 1000, this.#tokens + (rate * (nowMs - this.#filledMs)) / 1000);
    this.#filledMs = nowMs;
  }
}
