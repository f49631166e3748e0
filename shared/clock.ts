/** The clock as a dependency, so that tests can control time; and the system clock. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /**
   * Monotonic time in ms, for durations. It starts at the wall-clock time of the process start and ignores later
   * changes of the machine's clock: a step could otherwise keep a circuit breaker of 30 s open for an hour.
   */
  now(): number;
  /** Wall-clock time in ms since the epoch, for comparison with timestamps of other machines. */
  date(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  date: () => Date.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // Node.js rejects with its own AbortError, but callers rely on the signal's reason.
      signal?.throwIfAborted();
      throw error;
    }
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
