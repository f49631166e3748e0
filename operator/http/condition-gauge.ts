/** The conditions of all caches as one gauge, for alerts. */
import { Gauge, type Registry } from 'prom-client';
import type { Condition } from '#operator/api/orca-cache.ts';

/** Records the conditions of the cache `<namespace>/<name>`; undefined removes a deleted cache. */
export type RecordConditions = (key: string, conditions: readonly Condition[] | undefined) => void;

export interface ConditionGauge {
  readonly record: RecordConditions;
  /** Removes all samples: only the leader has current conditions. */
  clear(): void;
}

export function openConditionGauge(registry: Registry): ConditionGauge {
  const recorded = new Map<string, readonly Condition[]>();
  const gauge: Gauge = new Gauge({
    name: 'orcacache_condition',
    help: '1 for the current status of each condition of a cache',
    labelNames: ['namespace', 'name', 'type', 'status'],
    registers: [registry],
    collect() {
      // An earlier status has no sample, rather than a 0 that stays forever.
      gauge.reset();
      for (const [key, conditions] of recorded) {
        const [namespace = '', name = ''] = key.split('/');
        for (const { type, status } of conditions) gauge.set({ namespace, name, type, status }, 1);
      }
    },
  });
  return {
    record(key, conditions) {
      if (conditions === undefined) recorded.delete(key);
      else recorded.set(key, conditions);
    },
    clear: () => recorded.clear(),
  };
}
