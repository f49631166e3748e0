/** The metrics about a pod's processes. A pod with one process has them too, so that its series are the same. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { GAUGES } from './gauge-catalog.ts';
import { COUNTERS } from './metric-catalog.ts';

export interface CountedWorker {
  state(): string;
  restarts(): number;
}

export function watchWorkers(registry: Registry, workers: readonly CountedWorker[]): void {
  const { name, help } = GAUGES.workers;
  registry.registerMetric(
    new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(workers.filter((worker) => worker.state() === 'running').length);
      },
    }),
  );
  registry.registerMetric(
    new Counter({
      name: COUNTERS.workerRestarts.name,
      help: COUNTERS.workerRestarts.help,
      registers: [],
      collect() {
        this.reset();
        this.inc(workers.reduce((total, worker) => total + worker.restarts(), 0));
      },
    }),
  );
}
