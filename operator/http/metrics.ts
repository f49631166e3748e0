/** The operator's metrics, under the names of controller-runtime, so that existing operator dashboards work. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ReconcileResult } from '#operator/control/controller.ts';
import type { QueueObserver, WorkQueue } from '#operator/control/work-queue.ts';
import type { Method } from '#shared/kube/types.ts';
import { openConditionGauge, type RecordConditions } from './condition-gauge.ts';

export interface Metrics {
  readonly registry: Registry;
  readonly queueObserver: QueueObserver;
  readonly reconciled: (result: ReconcileResult, durationMs: number) => void;
  /** Status 0: no response. */
  readonly requested: (method: Method, status: number, durationMs: number) => void;
  /** Registers gauges that read the queue at each scrape; undefined while this process does not lead. */
  watchQueue(queue: () => WorkQueue | undefined, workers: number): void;
  readonly setLeader: (isLeader: boolean) => void;
  readonly recordConditions: RecordConditions;
}

const CONTROLLER = { controller: 'orcacache' };
/** client-go's workqueue metrics carry the queue's name in both labels. */
const QUEUE = { name: 'orcacache', controller: 'orcacache' };
/** From a reconcile that writes nothing to one that waits for a slow API server. */
const RECONCILE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Up to the longest request timeout. */
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30];
/** From a millisecond to the longest backoff. */
const QUEUE_SECONDS = [0.001, 0.01, 0.1, 1, 10, 100, 1000];
const RESULT_LABEL: Readonly<Record<ReconcileResult, string>> = {
  success: 'success',
  stalled: 'success',
  requeue_after: 'requeue_after',
  error: 'error',
};

export function openMetrics(version: string, host: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  setBuildInfo(registry, version);
  const leader = leaderGauge(registry);
  const conditions = openConditionGauge(registry);
  return {
    registry,
    queueObserver: queueMetrics(registry),
    reconciled: reconcileMetrics(registry),
    requested: requestMetrics(registry, host),
    setLeader(isLeader) {
      leader.set(isLeader);
      if (!isLeader) conditions.clear();
    },
    recordConditions: conditions.record,
    watchQueue: (queue, workers) => watchQueue(registry, queue, workers),
  };
}

function setBuildInfo(registry: Registry, version: string): void {
  new Gauge({
    name: 'orcacache_operator_build_info',
    help: 'Always 1; version and Node.js version as labels',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
}

function leaderGauge(registry: Registry): { set(isLeader: boolean): void } {
  const gauge = new Gauge({
    name: 'leader_election_master_status',
    help: '1 if this process is the leader',
    labelNames: ['name'],
    registers: [registry],
  });
  const labels = { name: QUEUE.name };
  gauge.set(labels, 0);
  return { set: (isLeader) => gauge.set(labels, isLeader ? 1 : 0) };
}

function reconcileMetrics(registry: Registry): Metrics['reconciled'] {
  const total = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by result',
    labelNames: ['controller', 'result'],
    registers: [registry],
  });
  const errors = counter(registry, 'controller_runtime_reconcile_errors_total', 'Reconciles that failed', CONTROLLER);
  const terminal = counter(
    registry,
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that cannot succeed without user action',
    CONTROLLER,
  );
  const durations = histogram(
    registry,
    'controller_runtime_reconcile_time_seconds',
    'Duration of reconciles',
    CONTROLLER,
    RECONCILE_SECONDS,
  );
  for (const result of Object.values(RESULT_LABEL)) total.inc({ ...CONTROLLER, result }, 0);
  return (result, durationMs) => {
    total.inc({ ...CONTROLLER, result: RESULT_LABEL[result] });
    if (result === 'error') errors.inc();
    if (result === 'stalled') terminal.inc();
    durations.observe(durationMs);
  };
}

function requestMetrics(registry: Registry, host: string): Metrics['requested'] {
  const total = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server; code "<error>" for those without a response',
    labelNames: ['code', 'method', 'host'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Duration of requests to the API server, including the response body',
    labelNames: ['verb', 'host'],
    buckets: REQUEST_SECONDS,
    registers: [registry],
  });
  return (method, status, durationMs) => {
    total.inc({ code: status === 0 ? '<error>' : String(status), method, host });
    durations.observe({ verb: method, host }, durationMs / 1000);
  };
}

function queueMetrics(registry: Registry): QueueObserver {
  const adds = counter(registry, 'workqueue_adds_total', 'Keys added to the queue', QUEUE);
  const retries = counter(registry, 'workqueue_retries_total', 'Keys queued again after a failure', QUEUE);
  const waits = histogram(
    registry,
    'workqueue_queue_duration_seconds',
    'Time that keys wait in the queue',
    QUEUE,
    QUEUE_SECONDS,
  );
  const works = histogram(
    registry,
    'workqueue_work_duration_seconds',
    'Time that workers spend on a key',
    QUEUE,
    QUEUE_SECONDS,
  );
  return {
    added: () => adds.inc(),
    retried: () => retries.inc(),
    taken: (waitedMs) => waits.observe(waitedMs),
    finished: (workedMs) => works.observe(workedMs),
  };
}

function watchQueue(registry: Registry, queue: () => WorkQueue | undefined, workers: number): void {
  const ageSeconds = (): number[] => (queue()?.activeMs() ?? []).map((ms) => ms / 1000);
  gauge(registry, 'controller_runtime_max_concurrent_reconciles', 'Number of workers', CONTROLLER, () => workers);
  gauge(registry, 'controller_runtime_active_workers', 'Busy workers', CONTROLLER, () => queue()?.active ?? 0);
  gauge(registry, 'workqueue_depth', 'Keys waiting in the queue', QUEUE, () => queue()?.depth ?? 0);
  gauge(registry, 'workqueue_unfinished_work_seconds', 'Total age of the keys in progress', QUEUE, () =>
    ageSeconds().reduce((sum, value) => sum + value, 0),
  );
  gauge(registry, 'workqueue_longest_running_processor_seconds', 'Age of the oldest key in progress', QUEUE, () =>
    Math.max(0, ...ageSeconds()),
  );
}

type Labels = Readonly<Record<string, string>>;

function counter(registry: Registry, name: string, help: string, labels: Labels): { inc(): void } {
  const made = new Counter({ name, help, labelNames: Object.keys(labels), registers: [registry] });
  made.inc({ ...labels }, 0);
  return { inc: () => made.inc({ ...labels }) };
}

function histogram(
  registry: Registry,
  name: string,
  help: string,
  labels: Labels,
  buckets: number[],
): { observe(ms: number): void } {
  const made = new Histogram({ name, help, labelNames: Object.keys(labels), buckets, registers: [registry] });
  return { observe: (ms) => made.observe({ ...labels }, ms / 1000) };
}

function gauge(registry: Registry, name: string, help: string, labels: Labels, read: () => number): void {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames: Object.keys(labels),
    collect: (): void => made.set({ ...labels }, read()),
    registers: [],
  });
  registry.registerMetric(made);
}
