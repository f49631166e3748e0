/** The conditions of all objects of a kind as one gauge, for alerts. */
import { Gauge, type Registry } from 'prom-client';
import type { Condition } from '#operator/api/orca-cache.ts';

/** Records the conditions of `<namespace>/<name>`; undefined removes a deleted object. */
export type RecordConditions = (key: string, conditions: readonly Condition[] | undefined) => void;

export interface ConditionGauge {
  readonly record: RecordConditions;
  /** Removes all samples: only the leader has current conditions. */
  clear(): void;
}

export function openConditionGauge(registry: Registry, name: string, kind: string): ConditionGauge {
  const recorded = new Map<string, readonly Condition[]>();
  const gauge: Gauge = new Gauge({
    name,
    help: `1 for the current status of each condition of a ${kind}`,
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
