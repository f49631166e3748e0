/** Bytes a second over the last seconds. */
import type { Clock } from '#shared/clock.ts';

/** Chunks of 128 MiB count when they are committed: over fewer seconds the figure would jump. */
const SECONDS = 15;

export class Speed {
  readonly #clock: Clock;
  readonly #startedMs: number;
  /** Bytes of the last seconds, by the second's number modulo the length. */
  readonly #bytes = new Float64Array(SECONDS);
  #second: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.now();
    this.#second = this.#now();
  }

  add(lengthBytes: number): void {
    this.#advance();
    this.#bytes[this.#second % SECONDS] = (this.#bytes[this.#second % SECONDS] ?? 0) + lengthBytes;
  }

  bytesPerSecond(): number {
    this.#advance();
    let sum = 0;
    for (const bytes of this.#bytes) sum += bytes;
    const seconds = Math.min(SECONDS, Math.max(1, (this.#clock.now() - this.#startedMs) / 1000));
    return Math.max(0, Math.round(sum / seconds));
  }

  #now(): number {
    return Math.floor(this.#clock.now() / 1000);
  }

  #advance(): void {
    const now = this.#now();
    for (let step = Math.max(this.#second + 1, now - SECONDS + 1); step <= now; step++) this.#bytes[step % SECONDS] = 0;
    this.#second = now;
  }
}
