/** Metrics under the names of controller-runtime, so that dashboards for operators show this one too. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ReconcileResult } from '#operator/control/controller.ts';
import type { QueueObserver, WorkQueue } from '#operator/control/work-queue.ts';
import type { Method } from '#shared/kube/types.ts';
import { openConditionGauge, type State } from './condition-gauge.ts';

export interface Metrics {
  readonly registry: Registry;
  readonly queueObserver: QueueObserver;
  readonly reconciled: (result: ReconcileResult, durationMs: number) => void;
  readonly requested: (method: Method, status: number, durationMs: number) => void;
  /** Gauges that are read when somebody asks; undefined while this process does not lead. */
  watchQueue(queue: () => WorkQueue | undefined, workers: number): void;
  readonly leads: (leads: boolean) => void;
  readonly state: State;
}

const CONTROLLER = 'orcacache';
/** From a reconcile that writes nothing to one that waits for a slow API server, in seconds. */
const RECONCILE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30];
/** Waiting in the queue and work, from a millisecond to the longest backoff. */
const QUEUE_SECONDS = [0.001, 0.01, 0.1, 1, 10, 100, 1000];
const RESULT_LABEL: Readonly<Record<ReconcileResult, string>> = {
  success: 'success',
  stalled: 'success',
  requeue_after: 'requeue_after',
  error: 'error',
};

export function openMetrics(version: string, host: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by result',
    labelNames: ['controller', 'result'],
    registers,
  });
  const errors = counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed');
  const terminal = counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that ended with something for the user to do',
  );
  const durations = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Length of reconciles',
    labelNames: ['controller'],
    buckets: RECONCILE_SECONDS,
    registers,
  });
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server; code <error> where no answer came',
    labelNames: ['code', 'method', 'host'],
    registers,
  });
  const requestDurations = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Time to the whole answer of the API server',
    labelNames: ['verb', 'host'],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const adds = queueCounter('workqueue_adds_total', 'Keys added');
  const retries = queueCounter('workqueue_retries_total', 'Keys that come back after a failure');
  const waits = queueHistogram('workqueue_queue_duration_seconds', 'Time in the queue before work');
  const works = queueHistogram('workqueue_work_duration_seconds', 'Time of work');
  new Gauge({
    name: 'orcacache_operator_build_info',
    help: 'Always 1; the labels tell',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const master = new Gauge({
    name: 'leader_election_master_status',
    help: 'Whether this process is the one that works',
    labelNames: ['name'],
    registers,
  });
  master.set({ name: CONTROLLER }, 0);
  const conditions = openConditionGauge(registry);
  for (const result of Object.values(RESULT_LABEL)) reconciles.inc({ controller: CONTROLLER, result }, 0);

  function counter(name: string, help: string): { inc(): void } {
    const made = new Counter({ name, help, labelNames: ['controller'], registers });
    made.inc({ controller: CONTROLLER }, 0);
    return { inc: () => made.inc({ controller: CONTROLLER }) };
  }
  function queueCounter(name: string, help: string): { inc(): void } {
    const labels = { name: CONTROLLER, controller: CONTROLLER };
    const made = new Counter({ name, help, labelNames: ['name', 'controller'], registers });
    made.inc(labels, 0);
    return { inc: () => made.inc(labels) };
  }
  function queueHistogram(name: string, help: string): { observe(ms: number): void } {
    const made = new Histogram({ name, help, labelNames: ['name', 'controller'], buckets: QUEUE_SECONDS, registers });
    return { observe: (ms) => made.observe({ name: CONTROLLER, controller: CONTROLLER }, ms / 1000) };
  }
  function gauge(name: string, help: string, labels: Record<string, string>, read: () => number): void {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      collect: (): void => made.set(labels, read()),
      registers: [],
    });
    registry.registerMetric(made);
  }

  return {
    registry,
    queueObserver: {
      added: () => adds.inc(),
      retried: () => retries.inc(),
      taken: (waitedMs) => waits.observe(waitedMs),
      finished: (workedMs) => works.observe(workedMs),
    },
    reconciled(result, durationMs) {
      reconciles.inc({ controller: CONTROLLER, result: RESULT_LABEL[result] });
      if (result === 'error') errors.inc();
      if (result === 'stalled') terminal.inc();
      durations.observe({ controller: CONTROLLER }, durationMs / 1000);
    },
    requested(method, status, durationMs) {
      requests.inc({ code: status === 0 ? '<error>' : String(status), method, host });
      requestDurations.observe({ verb: method, host }, durationMs / 1000);
    },
    leads(leads) {
      master.set({ name: CONTROLLER }, leads ? 1 : 0);
      if (!leads) conditions.forget();
    },
    state: conditions.state,
    watchQueue(queue, workers) {
      const controller = { controller: CONTROLLER };
      const labels = { name: CONTROLLER, controller: CONTROLLER };
      const seconds = (): number[] => (queue()?.activeMs() ?? []).map((ms) => ms / 1000);
      gauge('controller_runtime_max_concurrent_reconciles', 'Workers', controller, () => workers);
      gauge('controller_runtime_active_workers', 'Workers that work', controller, () => queue()?.active ?? 0);
      gauge('workqueue_depth', 'Keys that wait', labels, () => queue()?.depth ?? 0);
      gauge('workqueue_unfinished_work_seconds', 'Age of all work in progress', labels, () =>
        seconds().reduce((sum, value) => sum + value, 0),
      );
      gauge('workqueue_longest_running_processor_seconds', 'Age of the oldest work in progress', labels, () =>
        Math.max(0, ...seconds()),
      );
    },
  };
}
