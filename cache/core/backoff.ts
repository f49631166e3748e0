/** Exponential backoff with full jitter: `random` in [0, 1) is the caller's, so that tests own it. */
export function backoffMs(attempt: number, initialMs: number, maxMs: number, random: number): number {
  return Math.round(Math.min(maxMs, initialMs * 2 ** attempt) * random);
}
