/** Exponential backoff with full jitter: clients that failed at the same time do not retry at the same time. */

export interface Backoff {
  /** The next wait: a random share of a bound that doubles with each call. */
  nextMs(): number;
  reset(): void;
}

export function fullJitter(initialMs: number, maxMs: number, random: () => number): Backoff {
  let boundMs = initialMs;
  return {
    nextMs() {
      const waitMs = random() * boundMs;
      boundMs = Math.min(boundMs * 2, maxMs);
      return waitMs;
    },
    reset() {
      boundMs = initialMs;
    },
  };
}
