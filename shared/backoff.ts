/** Full-jitter exponential backoff: many that failed together do not come back together. */

export interface Backoff {
  /** How long to wait now; doubles its bound each time. */
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
