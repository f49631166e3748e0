/** What strangers can cause as often as they like is not logged as often: the log is a disk, and somebody's bill. */
import type { Clock } from '#cache/engine/ports.ts';
import type { LogFields } from '#shared/log.ts';

/** Tells the first at once, then at most one in `everyMs`, with how many went untold before it. */
export function seldom(clock: Clock, everyMs: number, tell: (fields: LogFields) => void): (fields: LogFields) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  let untold = 0;
  return (fields) => {
    const nowMs = clock.now();
    if (nowMs < nextMs) {
      untold += 1;
      return;
    }
    nextMs = nowMs + everyMs;
    tell({ ...fields, untold });
    untold = 0;
  };
}
