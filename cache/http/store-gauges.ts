/** The gauges about the space in the cachestore. Each replica reports the whole store, as the accountant last told it. */
import type { Gauge } from 'prom-client';
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { ACCOUNT_STATES, type StoreAccount } from '#cache/core/capacity/store-account.ts';
import type { Capacity } from '#cache/engine/capacity/capacity.ts';
import { systemClock, type Clock } from '#shared/clock.ts';
import { GAUGES } from './gauge-catalog.ts';
import { type MetricSpec } from './metric-catalog.ts';

export type StoreGauge = Extract<keyof typeof GAUGES, `store${string}` | `sweep${string}`> &
  Exclude<keyof typeof GAUGES, 'storeVersioned' | 'storeHungOperations' | 'storeHungBytes'>;

export interface CollectedGauge {
  readonly spec: MetricSpec;
  readonly collect: (gauge: Gauge) => void;
}

/** `date`: milliseconds since 1970. */
export function storeGauges(capacity: () => Capacity, clock: Pick<Clock, 'date'> = systemClock): CollectedGauge[] {
  const startedMs = clock.date();
  const values: Readonly<Record<Exclude<StoreGauge, 'storeState'>, () => number | undefined>> = {
    storeUsedBytes: () => counted(capacity())?.usedBytes,
    storeCapacityBytes: () => capacity().account().capacityBytes,
    storePinnedBytes: () => counted(capacity())?.pinnedBytes,
    storeForeignBytes: () => capacity().account().foreignBytes,
    storeChunks: () => counted(capacity())?.chunks,
    storeCutoffAgeSeconds: () => cutoffAgeSeconds(capacity(), clock.date()),
    // Until all shards have been swept, the age counts from the start: lists that are denied show here too.
    sweepAgeSeconds: () => Math.max(0, clock.date() - (capacity().oldestSweepMs() ?? startedMs)) / 1000,
    sweepIntervalSeconds: () => capacity().settings().sweepIntervalMs / 1000,
  };
  return [
    {
      spec: GAUGES.storeState,
      collect(gauge) {
        const { state: current } = capacity().account();
        for (const state of ACCOUNT_STATES) gauge.set({ state }, state === current ? 1 : 0);
      },
    },
    ...Object.entries(values).map(([name, read]) => ({
      spec: GAUGES[name as StoreGauge],
      collect(gauge: Gauge) {
        const value = read();
        // No sample is better than a figure that is not known.
        if (value === undefined) gauge.remove();
        else gauge.set(value);
      },
    })),
  ];
}

/** Undefined while the sum of some shards is missing: it would look as if the store had shrunk. */
function counted(capacity: Capacity): StoreAccount | undefined {
  const account = capacity.account();
  return account.state === 'counting' ? undefined : account;
}

function cutoffAgeSeconds(capacity: Capacity, nowMs: number): number | undefined {
  const cutoff = capacity.cutoffMinute();
  return cutoff === undefined ? undefined : Math.max(0, minuteOf(nowMs) + 1 - cutoff) * 60;
}
