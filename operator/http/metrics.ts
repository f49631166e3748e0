/** The operator's metrics, under the names of controller-runtime, so that existing operator dashboards work. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Method } from '#shared/kube/types.ts';
import { openControllerMetrics, type ControllerMetrics, type ControllerName } from './controller-metrics.ts';
import { openConditionGauge, type RecordConditions } from './condition-gauge.ts';

export interface Metrics {
  readonly registry: Registry;
  controller(name: ControllerName): ControllerMetrics;
  /** Status 0: no response. */
  readonly requested: (method: Method, status: number, durationMs: number) => void;
  readonly setLeader: (isLeader: boolean) => void;
  /** Conditions of the caches, and of the prewarms. */
  readonly recordConditions: RecordConditions;
  readonly recordPrewarmConditions: RecordConditions;
}

/** The name of the election. */
const ELECTION = 'orcacache';
/** Up to the longest request timeout. */
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30];

export function openMetrics(version: string, host: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  setBuildInfo(registry, version);
  const leader = leaderGauge(registry);
  const caches = openConditionGauge(registry, 'orcacache_condition', 'cache');
  const prewarms = openConditionGauge(registry, 'orcaprewarm_condition', 'prewarm');
  return {
    registry,
    controller: openControllerMetrics(registry),
    requested: requestMetrics(registry, host),
    setLeader(isLeader) {
      leader.set(isLeader);
      if (isLeader) return;
      caches.clear();
      prewarms.clear();
    },
    recordConditions: caches.record,
    recordPrewarmConditions: prewarms.record,
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
  const labels = { name: ELECTION };
  gauge.set(labels, 0);
  return { set: (isLeader) => gauge.set(labels, isLeader ? 1 : 0) };
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
