/** Exponential backoff with full jitter: callers that failed together do not retry together. */

/** The wait before retry number `attempt` (from 0): a random share of a limit that doubles with each attempt. */
export function backoffMs(attempt: number, initialMs: number, maxMs: number, random: number): number {
  return Math.round(Math.min(maxMs, initialMs * 2 ** attempt) * random);
}

export interface Backoff {
  /** The wait before the next attempt; each call doubles its limit. */
  nextMs(): number;
  reset(): void;
}

/** Counts the attempts of `backoffMs`. `random` returns a number in [0, 1). */
export function fullJitter(initialMs: number, maxMs: number, random: () => number): Backoff {
  let attempt = 0;
  return {
    nextMs: () => backoffMs(attempt++, initialMs, maxMs, random()),
    reset() {
      attempt = 0;
    },
  };
}
