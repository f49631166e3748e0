/** Reconciles and work queues under the names of controller-runtime, with one label value for each controller. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ReconcileResult } from '#operator/control/controller.ts';
import type { QueueObserver, WorkQueue } from '#operator/control/work-queue.ts';

/** The value of the labels `controller` and `name`. */
export type ControllerName = 'orcacache' | 'orcaprewarm' | 'schedulinggate';

export interface ControllerMetrics {
  readonly queueObserver: QueueObserver;
  readonly reconciled: (result: ReconcileResult, durationMs: number) => void;
  /** Reads the queue at each scrape; undefined while this process does not lead. */
  watchQueue(queue: () => WorkQueue | undefined, workers: number): void;
}

/** From a reconcile that writes nothing to one that waits for a slow API server. */
const RECONCILE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a millisecond to the longest backoff. */
const QUEUE_SECONDS = [0.001, 0.01, 0.1, 1, 10, 100, 1000];
const RESULT_LABEL: Readonly<Record<ReconcileResult, string>> = {
  success: 'success',
  stalled: 'success',
  requeue_after: 'requeue_after',
  error: 'error',
};

type Labels = Readonly<Record<string, string>>;
/** The labels of a metric for one controller. client-go's queue metrics carry the queue's name in both labels. */
type LabelsOf = (name: ControllerName) => Labels;
const ofReconciles: LabelsOf = (name) => ({ controller: name });
const ofQueue: LabelsOf = (name) => ({ name, controller: name });

export function openControllerMetrics(registry: Registry): (name: ControllerName) => ControllerMetrics {
  const reconciles = reconcileMetrics(registry);
  const queues = queueMetrics(registry);
  const watchQueue = queueGauges(registry);
  return (name) => ({
    queueObserver: queues(name),
    reconciled: reconciles(name),
    watchQueue: (queue, workers) => watchQueue(name, queue, workers),
  });
}

function reconcileMetrics(registry: Registry): (name: ControllerName) => ControllerMetrics['reconciled'] {
  const total = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by result',
    labelNames: ['controller', 'result'],
    registers: [registry],
  });
  const errors = counter(registry, 'controller_runtime_reconcile_errors_total', 'Reconciles that failed', ofReconciles);
  const terminal = counter(
    registry,
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that cannot succeed without user action',
    ofReconciles,
  );
  const durations = histogram(
    registry,
    'controller_runtime_reconcile_time_seconds',
    'Duration of reconciles',
    ofReconciles,
    RECONCILE_SECONDS,
  );
  return (name) => {
    const [failed, stalled, finished] = [errors(name), terminal(name), durations(name)];
    for (const result of Object.values(RESULT_LABEL)) total.inc({ controller: name, result }, 0);
    return (result, durationMs) => {
      total.inc({ controller: name, result: RESULT_LABEL[result] });
      if (result === 'error') failed();
      if (result === 'stalled') stalled();
      finished(durationMs);
    };
  };
}

function queueMetrics(registry: Registry): (name: ControllerName) => QueueObserver {
  const adds = counter(registry, 'workqueue_adds_total', 'Keys added to the queue', ofQueue);
  const retries = counter(registry, 'workqueue_retries_total', 'Keys queued again after a failure', ofQueue);
  const waits = histogram(
    registry,
    'workqueue_queue_duration_seconds',
    'Time that keys wait in the queue',
    ofQueue,
    QUEUE_SECONDS,
  );
  const works = histogram(
    registry,
    'workqueue_work_duration_seconds',
    'Time that workers spend on a key',
    ofQueue,
    QUEUE_SECONDS,
  );
  return (name) => ({ added: adds(name), retried: retries(name), taken: waits(name), finished: works(name) });
}

type ReadQueue = () => WorkQueue | undefined;

function queueGauges(registry: Registry): (name: ControllerName, queue: ReadQueue, workers: number) => void {
  const watched = new Map<ControllerName, { readonly queue: ReadQueue; readonly workers: number }>();
  const gauge = (name: string, help: string, labelsOf: LabelsOf, read: (queue: ReadQueue) => number): void =>
    openGauge(registry, name, help, labelsOf, () => [...watched].map(([key, { queue }]) => [key, read(queue)]));
  const ageSeconds = (queue: ReadQueue): number[] => (queue()?.activeMs() ?? []).map((ms) => ms / 1000);
  openGauge(registry, 'controller_runtime_max_concurrent_reconciles', 'Number of workers', ofReconciles, () =>
    [...watched].map(([key, { workers }]) => [key, workers]),
  );
  gauge('controller_runtime_active_workers', 'Busy workers', ofReconciles, (queue) => queue()?.active ?? 0);
  gauge('workqueue_depth', 'Keys waiting in the queue', ofQueue, (queue) => queue()?.depth ?? 0);
  gauge('workqueue_unfinished_work_seconds', 'Total age of the keys in progress', ofQueue, (queue) =>
    ageSeconds(queue).reduce((sum, value) => sum + value, 0),
  );
  gauge('workqueue_longest_running_processor_seconds', 'Age of the oldest key in progress', ofQueue, (queue) =>
    Math.max(0, ...ageSeconds(queue)),
  );
  return (name, queue, workers) => void watched.set(name, { queue, workers });
}

function counter(
  registry: Registry,
  name: string,
  help: string,
  labelsOf: LabelsOf,
): (controller: ControllerName) => () => void {
  const labelNames = Object.keys(labelsOf('orcacache'));
  const made = new Counter({ name, help, labelNames, registers: [registry] });
  return (controller) => {
    const labels = { ...labelsOf(controller) };
    made.inc(labels, 0);
    return () => made.inc(labels);
  };
}

function histogram(
  registry: Registry,
  name: string,
  help: string,
  labelsOf: LabelsOf,
  buckets: number[],
): (controller: ControllerName) => (ms: number) => void {
  const labelNames = Object.keys(labelsOf('orcacache'));
  const made = new Histogram({ name, help, labelNames, buckets, registers: [registry] });
  return (controller) => {
    const labels = { ...labelsOf(controller) };
    return (ms) => made.observe(labels, ms / 1000);
  };
}

function openGauge(
  registry: Registry,
  name: string,
  help: string,
  labelsOf: LabelsOf,
  read: () => readonly (readonly [ControllerName, number])[],
): void {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames: Object.keys(labelsOf('orcacache')),
    collect(): void {
      for (const [controller, value] of read()) made.set({ ...labelsOf(controller) }, value);
    },
    registers: [],
  });
  registry.registerMetric(made);
}
