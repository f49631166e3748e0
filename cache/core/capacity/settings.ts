/** What limits the cachestore. All of it may change while the process runs. */

export interface CapacitySettings {
  /** The limit of this cache's chunks. Undefined = the size of the file system, or no limit where the store has no size of its own. */
  readonly capacityBytes: number | undefined;
  /** In per cent of the capacity: eviction begins above it, */
  readonly highWatermark: number;
  /** and ends there. */
  readonly lowWatermark: number;
  /** Chunks that were not read for this long are evicted; undefined = no such limit. */
  readonly maxIdleMs: number | undefined;
  /** Younger chunks are never evicted. */
  readonly minAgeMs: number;
  /** In per cent of the capacity: how much may be pinned. */
  readonly maxPinned: number;
  /** Within this time each shard of the cachestore is listed once. */
  readonly sweepIntervalMs: number;
}

/** The defaults of the resource. */
export const DEFAULT_CAPACITY: CapacitySettings = {
  capacityBytes: undefined,
  highWatermark: 90,
  lowWatermark: 80,
  maxIdleMs: undefined,
  minAgeMs: 10 * 60_000,
  maxPinned: 50,
  sweepIntervalMs: 60 * 60_000,
};
