/** Prometheus metrics of a cache pod, from what the engine, the edge and the peer listener observe. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { crc32Problem } from '#cache/core/crc32.ts';
import type { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Observer, PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import type { Log } from '#shared/log.ts';
import { BucketUsage, type Costs } from './bucket-usage.ts';
import type { EdgeObserver } from './edge/edge.ts';
import type { ShedReason } from './listener/connection-table.ts';
import type { StallOutcome } from './listener/send-body.ts';
import { storeGauges, type StoreGauge } from './store-gauges.ts';
import { GAUGES } from './gauge-catalog.ts';
import { COUNTERS, HISTOGRAMS, METHODS, type MetricSpec } from './metric-catalog.ts';
import { PlainCounter, PlainHistogram } from './plain-metrics.ts';
import { SlowRequests } from './slow-requests.ts';
import { watchWorkers } from './worker-metrics.ts';

/** From a hit in memory to an origin across an ocean. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the gauges show. */
export interface Watched {
  readonly engine: Engine;
  readonly peers: PeerView;
  readonly storeProbe: StoreProbe;
  /** The liveness thread. */
  readonly liveness: { readonly state: string };
}

export interface CacheMetrics {
  readonly registry: Registry;
  readonly engine: Observer;
  readonly edge: EdgeObserver;
  readonly slow: SlowRequests;
  peerRequest(call: string, outcome: string): void;
  peerStalled(outcome: StallOutcome): void;
  peerShed(reason: ShedReason): void;
  shutdownResets(count: number): void;
  prewarm(counted: {
    readonly objectsDone: number;
    readonly objectsFailed: number;
    readonly originBytes: number;
  }): void;
  /** Registers the gauges, which are read on each scrape. */
  watch(watched: Watched): void;
  watchPrewarms(prewarms: { readonly count: number }): void;
}

export interface MetricsOptions {
  readonly buckets: BucketTable;
  /** undefined = no prices are configured. */
  readonly costs: Costs | undefined;
  readonly log: Log;
  /** One of several processes, whose parent counts them. Default: false. */
  readonly isWorker?: boolean;
}

export function openMetrics({ buckets, costs, log, isWorker = false }: MetricsOptions): CacheMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  if (!isWorker) watchWorkers(registry, [{ state: () => 'running', restarts: () => 0 }]);
  const usage = new BucketUsage(buckets);
  usage.register(registry, costs);
  const counters = mapValues(PLAIN_COUNTERS, (spec) => new Counter({ ...namesOf(spec), registers }));
  const histograms = mapValues(
    PLAIN_HISTOGRAMS,
    (spec) => new Histogram({ ...namesOf(spec), buckets: SECONDS, registers }),
  );
  // Present from the start: in Prometheus a sum over a missing series is empty, not zero.
  for (const kind of COUNTERS.sparseBytes.labels.kind) counters.sparseBytes.inc({ kind }, 0);
  for (const reason of COUNTERS.evictedBytes.labels.reason) counters.evictedBytes.inc({ reason }, 0);
  const slow = new SlowRequests();
  return {
    registry,
    slow,
    engine: engineObserver(counters, histograms, usage, log),
    edge: edgeObserver(registry, counters, usage, slow),
    peerRequest: (call, outcome) => counters.peerRequests.inc({ call, outcome }),
    peerStalled: (outcome) => counters.stalls.inc({ listener: 'peer', outcome }),
    peerShed: (reason) => counters.shedConnections.inc({ listener: 'peer', reason }),
    shutdownResets: (count) => counters.shutdownResets.inc(count),
    prewarm({ objectsDone, objectsFailed, originBytes }) {
      counters.prewarmObjects.inc({ outcome: 'done' }, objectsDone);
      counters.prewarmObjects.inc({ outcome: 'failed' }, objectsFailed);
      counters.prewarmOriginBytes.inc(originBytes);
    },
    watchPrewarms(prewarms) {
      const collect = function collect(this: Gauge): void {
        this.set(prewarms.count);
      };
      registry.registerMetric(new Gauge({ ...namesOf(GAUGES.prewarms), registers: [], collect }));
    },
    watch: (watched) => registerGauges(registry, watched),
  };
}

/** Without those of each client request, of `BucketUsage` and `edgeObserver`, and those of `watchWorkers`. */
const {
  edgeRequests: _edgeRequests,
  servedBytes: _servedBytes,
  bucketRequests: _requests,
  bucketServedBytes: _served,
  bucketOriginRequests: _originRequests,
  bucketOriginBytes: _originBytes,
  workerRestarts: _workerRestarts,
  ...PLAIN_COUNTERS
} = COUNTERS;

const {
  edgeRequestSeconds: _edgeRequestSeconds,
  firstByteSeconds: _firstByteSeconds,
  ...PLAIN_HISTOGRAMS
} = HISTOGRAMS;

type Counters = Readonly<Record<keyof typeof PLAIN_COUNTERS, Counter>>;
type Histograms = Readonly<Record<keyof typeof PLAIN_HISTOGRAMS, Histogram>>;

function engineObserver(counters: Counters, histograms: Histograms, usage: BucketUsage, log: Log): Observer {
  return {
    originRequest(operation, outcome, durationMs, name) {
      usage.originRequest(name);
      counters.originRequests.inc({ operation, outcome });
      histograms.originSeconds.observe({ operation }, durationMs / 1000);
    },
    originBytes(lengthBytes, name) {
      counters.originBytes.inc(lengthBytes);
      usage.originBytes(name, lengthBytes);
    },
    storeRequest(operation, outcome, durationMs) {
      counters.storeRequests.inc({ operation, outcome });
      histograms.storeSeconds.observe({ operation }, durationMs / 1000);
    },
    fill: (outcome) => counters.fills.inc({ outcome }),
    committedBytes: (lengthBytes) => counters.committedBytes.inc(lengthBytes),
    sparseRead: (source) => counters.sparseReads.inc({ source }),
    sparseBytes: (kind, lengthBytes) => counters.sparseBytes.inc({ kind }, lengthBytes),
    list: (source) => counters.lists.inc({ source }),
    listWrite: (outcome) => counters.listWrites.inc({ outcome }),
    evicted: (reason, lengthBytes) => counters.evictedBytes.inc({ reason }, lengthBytes),
    refilled: (lengthBytes) => counters.refilledBytes.inc(lengthBytes),
    sweep: (outcome, durationMs) => histograms.sweepSeconds.observe({ outcome }, durationMs / 1000),
    fallThrough: (source, reason) => counters.sourceFallbacks.inc({ source, reason }),
    warn: (message, fields) => log.warn(message, fields),
  };
}

function edgeObserver(registry: Registry, counters: Counters, usage: BucketUsage, slow: SlowRequests): EdgeObserver {
  const requests = new PlainCounter(COUNTERS.edgeRequests, registry, (key) => {
    const [method = '', code = '', cache = ''] = key.split(' ');
    return { method, code, cache };
  });
  const served = new PlainCounter(COUNTERS.servedBytes, registry, (source) => ({ source }));
  /** The last series: most requests count in the same one as the one before, and a key is joined and hashed. */
  let last = { method: '', status: 0, cache: '', count: { value: 0 } };
  const countOf = (method: string, status: number, cache: string): { value: number } => {
    if (last.method !== method || last.status !== status || last.cache !== cache)
      last = { method, status, cache, count: requests.of(`${method} ${status} ${cache}`) };
    return last.count;
  };
  const requestSeconds = new PlainHistogram(HISTOGRAMS.edgeRequestSeconds, SECONDS, registry);
  const firstByteSeconds = new PlainHistogram(HISTOGRAMS.firstByteSeconds, SECONDS, registry);
  return {
    request(givenMethod, status, cache, durationMs, bucket, key) {
      const method = knownMethod(givenMethod);
      slow.note(durationMs, method, status, cache, bucket, key);
      usage.request(bucket, cache);
      countOf(method, status, cache).value++;
      requestSeconds.observe(durationMs / 1000, method);
    },
    firstByte: (durationMs) => firstByteSeconds.observe(durationMs / 1000),
    served(source, lengthBytes, bucket) {
      served.add(source, lengthBytes);
      usage.served(bucket, source, lengthBytes);
    },
    stalled: (outcome) => counters.stalls.inc({ listener: 'edge', outcome }),
    shed: (reason) => counters.shedConnections.inc({ listener: 'edge', reason }),
  };
}

function registerGauges(registry: Registry, watched: Watched): void {
  const { engine, storeProbe } = watched;
  const gauge = (spec: MetricSpec, collect: (gauge: Gauge) => void): void => {
    registry.registerMetric(
      new Gauge({
        ...namesOf(spec),
        registers: [],
        collect() {
          collect(this);
        },
      }),
    );
  };
  gauge(GAUGES.breakerOpen, (gauge) => {
    const isOpen = (breaker: { readonly state: string }) => (breaker.state === 'closed' ? 0 : 1);
    // Buckets under a pattern come and go.
    gauge.reset();
    gauge.set({ name: 'store' }, isOpen(engine.store.breaker));
    for (const [bucket, breaker] of engine.origin.breakers) gauge.set({ name: `origin/${bucket}` }, isOpen(breaker));
  });
  gauge(GAUGES.conditionalWrites, (gauge) => {
    for (const support of GAUGES.conditionalWrites.labels.support)
      gauge.set({ support }, support === storeProbe.condition ? 1 : 0);
  });
  for (const { spec, collect } of storeGauges(() => engine.capacity)) gauge(spec, collect);
  for (const [name, read] of Object.entries(gaugeReaders(watched)))
    gauge(GAUGES[name as keyof typeof GAUGES], (gauge) => gauge.set(read()));
}

type PlainGauge = Exclude<
  keyof typeof GAUGES,
  | 'breakerOpen'
  | 'conditionalWrites'
  | 'originBytesSaved'
  | 'savedDollars'
  | 'originPriceDollars'
  | 'prewarms'
  | 'workers'
  | StoreGauge
>;

function gaugeReaders({ engine, peers, storeProbe, liveness }: Watched): Readonly<Record<PlainGauge, () => number>> {
  return {
    storeVersioned: () => (storeProbe.verdict?.versioned === true ? 1 : 0),
    storeHungOperations: () => engine.store.hung?.count ?? 0,
    storeHungBytes: () => engine.store.hung?.lentBytes ?? 0,
    crc32Accelerated: () => (crc32Problem === undefined ? 1 : 0),
    memoryBudgetBytes: () => engine.memory.budgetBytes,
    memoryWindowBytes: () => engine.memory.usedBy('window'),
    memoryFillBytes: () => engine.memory.usedBy('fill'),
    memoryTierBytes: () => engine.memoryTier.sizeBytes,
    memoryQueuedBytes: () => engine.memory.queuedBytes,
    memoryWaitingStarted: () => engine.memory.waiting('started'),
    memoryWaitingNew: () => engine.memory.waiting('new'),
    catalogEntries: () => engine.catalog.size,
    metadataEntries: () => engine.metadata.size,
    outboxCommits: () => engine.outbox.count,
    outboxBytes: () => engine.outbox.sizeBytes,
    manifestsWaiting: () => engine.manifests.waiting,
    listBytes: () => engine.listings.sizeBytes,
    fillsRunning: () => engine.flights.count,
    peerStreams: () => engine.peerStreams.count,
    peerStreamReaders: () => engine.peerStreams.readers,
    originSlots: () => engine.limiter.slots,
    originRunning: () => engine.limiter.running,
    originQueued: () => engine.limiter.queued,
    peers: () => peers.current().owners.length,
    // 52 of the epoch's 64 bits fit a float exactly: enough to detect a disagreement.
    peersEpoch: () => Number.parseInt(peers.current().epoch.slice(0, 13), 16),
    peersStaleSeconds: () => peers.staleMs() / 1000,
    livenessThreadListening: () => (liveness.state === 'listening' ? 1 : 0),
  };
}

function namesOf({ name, help, labels = {} }: MetricSpec) {
  return { name, help, labelNames: Object.keys(labels) };
}

function mapValues<K extends string, T, R>(record: Readonly<Record<K, T>>, map: (value: T) => R): Record<K, R> {
  return Object.fromEntries(Object.entries<T>(record).map(([key, value]) => [key, map(value)])) as Record<K, R>;
}

/** Clients choose methods freely: an unbounded label would let them exhaust memory. */
function knownMethod(method: string): string {
  return METHODS.some((known) => known === method) ? method : 'other';
}
