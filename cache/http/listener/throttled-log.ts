/**
 * Rate limit for log lines that unauthenticated clients can cause: unlimited, they would fill the disk and cost money.
 */
import type { Clock } from '#cache/engine/ports.ts';
import type { LogFields } from '#shared/log.ts';

/** Logs the first event at once, then at most one every `everyMs`, with the number `suppressed` before it. */
export function throttledLog(
  clock: Clock,
  everyMs: number,
  log: (fields: LogFields) => void,
): (fields: LogFields) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return (fields) => {
    const nowMs = clock.now();
    if (nowMs < nextMs) {
      suppressed += 1;
      return;
    }
    nextMs = nowMs + everyMs;
    log({ ...fields, suppressed });
    suppressed = 0;
  };
}
