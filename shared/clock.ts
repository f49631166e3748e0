/** Time as a value that is handed in, so that tests own it; and the real one. */
import { setTimeout as delay } from 'node:timers/promises';

/** Time, so that tests own it. */
export interface Clock {
  /**
   * Milliseconds, to tell how long something takes: since the epoch as far as this process knows, and even from there
   * on, whatever is done to the machine's clock. A step would make a breaker of 30 s stay open for an hour.
   */
  now(): number;
  /** Milliseconds since the epoch as the machine's clock has it now: to be compared with what other machines say. */
  date(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms` unless cancelled. */
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
      // Node rejects with its own AbortError; callers tell why they were stopped by the signal's reason.
      signal?.throwIfAborted();
      throw error;
    }
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
