/** Limits how often the figures of a run are written: other changes of the status do not wait. */
import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '#operator/api/orca-cache.ts';
import type { OrcaPrewarmStatus } from '#operator/api/orca-prewarm.ts';
import type { Clock } from '#shared/clock.ts';

export interface ProgressPace {
  /** The published status if the next one has only other figures, and the last write was too recent. */
  limit(key: string, published: OrcaPrewarmStatus | undefined, next: OrcaPrewarmStatus): OrcaPrewarmStatus;
  written(key: string): void;
  forget(key: string): void;
}

/** A recheck may come a little early: its timer starts before the write ends. */
const TOLERANCE_MS = 500;

export function openProgressPace(clock: Clock, intervalMs: number): ProgressPace {
  const writtenAtMs = new Map<string, number>();
  return {
    limit(key, published, next) {
      const lastMs = writtenAtMs.get(key);
      const isRecent = lastMs !== undefined && clock.now() - lastMs < intervalMs - TOLERANCE_MS;
      return isRecent && published !== undefined && isSameStep(published, next) ? published : next;
    },
    written: (key) => void writtenAtMs.set(key, clock.now()),
    forget: (key) => void writtenAtMs.delete(key),
  };
}

function isSameStep(published: OrcaPrewarmStatus, next: OrcaPrewarmStatus): boolean {
  const essence = ({ observedGeneration, state, activeRun, startTime, pin, conditions = [] }: OrcaPrewarmStatus) => ({
    observedGeneration,
    state,
    activeRun,
    startTime,
    pin,
    conditions: conditions.map(({ type, status, reason }: Condition) => `${type} ${status} ${reason}`),
  });
  return isDeepStrictEqual(essence(published), essence(next));
}
