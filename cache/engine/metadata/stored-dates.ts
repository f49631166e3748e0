/** Stored records contain dates, which all replicas share; the engine measures ages on its own monotonic clock. */
import type { Clock } from '#cache/engine/ports.ts';

export function toDateMs(clock: Clock, learnedMs: number): number {
  return clock.date() - Math.max(0, clock.now() - learnedMs);
}

/** A date in the future, by a clock that is ahead, counts as now. */
export function toEngineMs(clock: Clock, dateMs: number): number {
  return clock.now() - Math.max(0, clock.date() - dateMs);
}
