/** What the parts of the room share. */
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { Clock, Observer } from '#cache/engine/ports.ts';
import type { Shards } from './shards.ts';
import type { StoreCalls } from './store-calls.ts';
import type { StoreTime } from './store-time.ts';

export interface Room {
  readonly originId: string;
  readonly clock: Clock;
  readonly observer: Observer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly settings: () => CapacitySettings;
  readonly calls: StoreCalls;
  readonly time: StoreTime;
  readonly shards: Shards;
}
