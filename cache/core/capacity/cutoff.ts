/** Which chunks go: the rule of eviction, as a function of figures. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Histogram } from './histogram.ts';

export interface EvictionFigures {
  readonly usedBytes: number;
  /** Undefined = no limit: chunks go only while the store itself is full. */
  readonly capacityBytes: number | undefined;
  /** In per cent: eviction begins above it. */
  readonly highWatermark: number;
  /** In per cent: eviction ends there. */
  readonly lowWatermark: number;
  /** What the last plan returned. */
  readonly isEvicting: boolean;
  /** The store refuses chunks for lack of room. */
  readonly isFull: boolean;
  /** What may be evicted: without pinned and young chunks. */
  readonly histogram: Histogram;
  readonly nowMinute: number;
}

export type EvictionBlock =
  /** Everything that is left is pinned or too young. */
  | 'nothing_evictable'
  /** Chunks that were read within the last hour must go: what clients read is larger than the store. */
  | 'recent';

export interface EvictionPlan {
  readonly isEvicting: boolean;
  /** Chunks go whose `effectiveMinute` is below it; a fraction. Undefined = none. */
  readonly cutoffMinute: number | undefined;
  /** How much is to be freed; 0 without a cutoff. */
  readonly freeBytes: number;
  readonly blocked?: EvictionBlock;
}

export function planEviction(_figures: EvictionFigures): EvictionPlan {
  throw new OrcaError('internal', 'later');
}

/** What `effectiveMinute` needs of a ledger's record. */
export interface ReadState {
  readonly minute: number;
  readonly isProven: boolean;
}

/**
 * The minute that is compared with a cutoff. A chunk without a record was last read when it was stored. A chunk that was
 * read once ages twice as fast. `low` of the chunk's key orders the chunks of one minute, so that a cutoff can
 * divide them.
 */
export function effectiveMinute(
  _record: ReadState | undefined,
  _modifiedMinute: number,
  _low: number,
  _nowMinute: number,
): number {
  throw new OrcaError('internal', 'later');
}
