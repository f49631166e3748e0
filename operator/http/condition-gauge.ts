/** What every cache's conditions say, as one gauge for alerts: of each condition the status that it has now. */
import { Gauge, type Registry } from 'prom-client';
import type { Condition } from '#operator/api/orca-cache.ts';

/** `<namespace>/<name>` of a cache and its conditions; undefined for one that is gone. */
export type State = (key: string, conditions: readonly Condition[] | undefined) => void;

export interface ConditionGauge {
  readonly state: State;
  /** Only who leads knows. */
  forget(): void;
}

export function openConditionGauge(registry: Registry): ConditionGauge {
  const known = new Map<string, readonly Condition[]>();
  const gauge: Gauge = new Gauge({
    name: 'orcacache_condition',
    help: '1 for the status that a condition of a cache has',
    labelNames: ['namespace', 'name', 'type', 'status'],
    registers: [registry],
    collect() {
      // A status that is over has no sample, instead of one that says 0 for ever.
      gauge.reset();
      for (const [key, conditions] of known) {
        const [namespace = '', name = ''] = key.split('/');
        for (const { type, status } of conditions) gauge.set({ namespace, name, type, status }, 1);
      }
    },
  });
  return {
    state(key, conditions) {
      if (conditions === undefined) known.delete(key);
      else known.set(key, conditions);
    },
    forget: () => known.clear(),
  };
}
