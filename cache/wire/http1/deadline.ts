/**
 * The time limits of one exchange with a single timer: frequent events (a read) only record the time, and the timer
 * checks it when it fires.
 */
import { WireError } from './errors.ts';

export type Overdue = 'first_byte' | 'silence' | 'stall' | 'slow';

interface Limit {
  readonly kind: Overdue;
  readonly limitMs: number;
  /** Counted from the start of the phase; otherwise from the last progress. */
  readonly fromStart: boolean;
}

/** A timer that fires later than this was delayed by a lack of CPU time on this machine, not by the other side. */
const OWN_LAG_MS = 100;

export class Deadline {
  readonly #onExpired: (overdue: Overdue, limitMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires. */
  #dueMs = 0;
  #lastCheck: NodeJS.Immediate | undefined;
  #limits: readonly Limit[] = [];
  #startMs = 0;
  #progressMs = 0;

  /** `onExpired` is called at most once for each phase. */
  constructor(onExpired: (overdue: Overdue, limitMs: number) => void) {
    this.#onExpired = onExpired;
  }

  /** Starts the wait for the final head: at most `firstByteMs`, with a byte at least every `silenceMs`. */
  head(firstByteMs: number, silenceMs: number | undefined): void {
    this.#begin([
      { kind: 'first_byte', limitMs: firstByteMs, fromStart: true },
      ...(silenceMs === undefined ? [] : [{ kind: 'silence' as const, limitMs: silenceMs, fromStart: false }]),
    ]);
  }

  /** Starts a body, sent or received, that must make progress at least every `stallMs`. */
  body(stallMs: number): void {
    this.#begin([{ kind: 'stall', limitMs: stallMs, fromStart: false }]);
  }

  /** Starts a body that is collected: it must make progress at least every `stallMs`, and end within `totalMs`. */
  document(stallMs: number, totalMs: number): void {
    this.#begin([
      { kind: 'stall', limitMs: stallMs, fromStart: false },
      { kind: 'slow', limitMs: totalMs, fromStart: true },
    ]);
  }

  /** Records that bytes were sent or received. */
  progress(): void {
    this.#progressMs = performance.now();
  }

  /** Stops the clock while the receiver has no room for bytes. */
  pause(): void {
    this.#disarm();
  }

  resume(): void {
    this.#startMs = this.#progressMs = performance.now();
    if (this.#timer === undefined && this.#lastCheck === undefined) this.#arm(false);
  }

  stop(): void {
    this.#disarm();
    this.#limits = [];
  }

  #begin(limits: readonly Limit[]): void {
    clearImmediate(this.#lastCheck);
    this.#lastCheck = undefined;
    this.#limits = limits;
    this.#startMs = this.#progressMs = performance.now();
    this.#arm(false);
  }

  #arm(isLastCheck: boolean): void {
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const { kind, limitMs, fromStart } of this.#limits) {
      const leftMs = (fromStart ? this.#startMs : this.#progressMs) + limitMs - nowMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      if (!isLastCheck) return this.#checkAfterReads();
      this.#limits = [];
      this.#onExpired(kind, limitMs);
      return;
    }
    // Timers count whole milliseconds: one that is too early would only fire again.
    const waitMs = Math.ceil(nextMs);
    // A timer of the phase before that fires earlier checks the limits of this one: most exchanges need only one timer.
    if (this.#limits.length === 0 || (this.#timer !== undefined && this.#dueMs <= nowMs + waitMs)) return;
    clearTimeout(this.#timer);
    this.#dueMs = nowMs + waitMs;
    this.#timer = setTimeout(this.#fired, waitMs);
  }

  /**
   * After a long turn of the event loop, timers fire before pending data is read. Reading it first keeps a busy process
   * from declaring its live peers dead.
   */
  #checkAfterReads(): void {
    this.#timer = undefined;
    this.#lastCheck = setImmediate(() => {
      this.#lastCheck = undefined;
      this.#arm(true);
    });
  }

  readonly #fired = (): void => {
    this.#timer = undefined;
    const lagMs = performance.now() - this.#dueMs;
    if (lagMs > OWN_LAG_MS) {
      // This process has not run for a while, and on a busy machine the other side has not either: the deadline moves
      // by the lag, and the wait for progress starts again.
      this.#startMs += lagMs;
      this.#progressMs = performance.now();
    }
    this.#arm(false);
  };

  #disarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#lastCheck);
    this.#timer = undefined;
    this.#lastCheck = undefined;
  }
}

const OVERDUE_MESSAGES: Readonly<Record<Overdue, string>> = {
  first_byte: 'the response did not begin',
  silence: 'no bytes arrived',
  stall: 'the body made no progress',
  slow: 'the document did not end',
};

export function overdueError(overdue: Overdue, limitMs: number): WireError {
  return new WireError(overdue, `${OVERDUE_MESSAGES[overdue]} for ${limitMs} ms`);
}
