/**
 * Builds a cache from its configuration: drivers, engine and the three listeners; and shuts it down in reverse order.
 * `main.ts` runs one in a process; tests run several.
 */
import type { Config } from '#cache/config/config.ts';
import { crc32Problem } from '#cache/core/crc32.ts';
import { describeVerdict, type StoreVerdict } from '#cache/core/store-verdict.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { openEngine, type Engine } from '#cache/engine/engine.ts';
import { keepPagesReady } from '#cache/engine/memory/ready-pages.ts';
import { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { openActivity } from '#cache/http/activity.ts';
import { openMetrics, type CacheMetrics } from '#cache/http/metrics.ts';
import { openPrewarms } from '#cache/prewarm/prewarms.ts';
import { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import { watchReadiness } from '#cache/http/ops/readiness.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { openLivenessThread } from '#cache/peers/heartbeat/liveness-thread.ts';
import { openUdpPinger } from '#cache/peers/heartbeat/pinger.ts';
import { openPeerKeys } from '#cache/peers/keys.ts';
import { openTelemetry, type Telemetry } from '#cache/telemetry/otlp.ts';
import { tracedOrigin, tracedPeers, tracedStore } from '#cache/telemetry/traced-ports.ts';
import packageJson from '#package' with { type: 'json' };
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { shutDown } from '#shared/lifecycle.ts';
import type { RootLog } from '#shared/log.ts';
import { openKube, openOrigin, openPeers, openStore, originFingerprint } from './drivers.ts';
import { followRuntime } from './follow-runtime.ts';
import { listen, listenAsWorker, openServers, type Servers } from './servers.ts';
import { shutdownSteps } from './shutdown-steps.ts';

export interface CacheOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: RootLog;
  /** Aborts when the process receives a signal to stop: from then on this replica owns no new chunks. */
  readonly stopping: AbortSignal;
  /** Which of several workers this is; `config` is that of `workerConfig`. Default: the only process. */
  readonly worker?: number;
  /** For tests: the Kubernetes API; default: that of the cluster that the process runs in. */
  readonly kube?: KubeClient;
  /** For tests: overwrites released memory. */
  readonly poisonMemory?: boolean;
  /** For tests: replicas that share a process share its event loop, so a slow turn does not mean a dead peer. */
  readonly peerDeadAfterMs?: number;
}

export interface Cache {
  readonly ports: { readonly edge: number; readonly peer: number; readonly ops: number };
  readonly engine: Engine;
  readonly storeProbe: StoreProbe;
  /** Drains, then closes everything, within the configured bounds. Never rejects. */
  shutDown(): Promise<void>;
}

/** Resolves once all three listeners accept. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const { config, log } = options;
  const { servers, engine, storeProbe, liveness, shutDown } = await buildCache(options);
  const ports = await listen(servers, config.listen);
  liveness.listen(config.listen.peer.host, ports.peer);
  log.info('listening', { ports, ...identityOf(config) });
  return { ports, engine, storeProbe, shutDown };
}

/** One of several workers. */
export interface WorkerCache extends Pick<Cache, 'engine' | 'shutDown'> {
  readonly opsApp: Servers['opsApp'];
  readonly registry: CacheMetrics['registry'];
  /** Resolves when it is ready and its edge port accepts clients. */
  readonly serving: Promise<void>;
}

/** Resolves once the peer listener accepts. The parent has the ops listener. */
export async function openWorkerCache(options: CacheOptions & { readonly worker: number }): Promise<WorkerCache> {
  const { config, log } = options;
  const { servers, engine, readiness, registry, liveness, shutDown } = await buildCache(options);
  const { serving } = await listenAsWorker(servers, config.listen, readiness);
  liveness.listen(config.listen.peer.host, config.listen.peer.port);
  log.info('worker: listening', { peer: config.listen.peer.port, ...identityOf(config) });
  return { engine, opsApp: servers.opsApp, registry, serving, shutDown };
}

function identityOf(config: Config) {
  return { version: packageJson.version, configHash: config.hash, origin: config.origin.id };
}

/** Everything but listening. */
async function buildCache(options: CacheOptions) {
  const { config, clock, log, worker } = options;
  const closing = new AbortController();
  const buckets = new BucketTable(config.origin.buckets);
  const metrics = openMetrics({ buckets, costs: config.costs, log, isWorker: worker !== undefined });
  const runtime = followRuntime(options, closing.signal);
  const telemetry = config.telemetry && (await openTelemetry(config.telemetry, packageJson.version));
  const drivers = withSpans(await openDrivers(options), telemetry);
  const engine = buildEngine(options, drivers, metrics, runtime);
  const running = Promise.all([engine.run(closing.signal), keepPagesReady(engine.memory, clock, closing.signal)]);
  const prewarms = startPrewarms(options, drivers, engine, metrics);
  const activity = openActivity({ registry: metrics.registry, slow: metrics.slow, clock });
  const sampling = activity.run(closing.signal);
  const probes = openProbes(options, drivers, engine, metrics, runtime, closing.signal);
  const servers = await openServers({
    ...probes,
    config,
    engine,
    peers: drivers.peers,
    peerKeys: drivers.peerKeys,
    metrics,
    activity,
    prewarms: prewarms?.prewarms,
    runtimeProblems: () => runtime.problems(),
    tracer: telemetry?.tracer,
    clock,
    log,
  });
  if (crc32Problem !== undefined)
    log.warn('CRC-32: computed by portable code, which costs more CPU', { problem: crc32Problem });
  const steps = shutdownSteps({
    config: config.shutdown,
    clock,
    readiness: probes.readiness,
    edge: servers.edge,
    peer: servers.peer,
    engine,
    stopPrewarms: async () => prewarms?.ended,
    onResets: (count) => metrics.shutdownResets(count),
    async close(signal) {
      closing.abort(new Error('the process is shutting down'));
      await Promise.all([
        runtime.done,
        running,
        sampling,
        servers.ops.drain(signal),
        servers.closeSecrets(),
        drivers.close(),
      ]);
      await telemetry?.close();
    },
  });
  const { registry } = metrics;
  const { liveness } = drivers;
  return { ...probes, servers, engine, registry, liveness, shutDown: () => shutDown(steps, log, clock) };
}

type Runtime = ReturnType<typeof followRuntime>;
type Drivers = Awaited<ReturnType<typeof openDrivers>>;

/** The implementations of the engine's ports. */
async function openDrivers({ config, env, clock, log, stopping, kube, peerDeadAfterMs, worker = 0 }: CacheOptions) {
  const origin = openOrigin(config, env);
  const store = openStore(config, env);
  const peers = openPeers(config, { clock, log, stopping, kube, worker });
  const { authDirectory } = config.peers;
  const peerKeys = authDirectory === undefined ? undefined : await openPeerKeys(authDirectory, clock, log);
  const keys = () => peerKeys?.current();
  const liveness = openLivenessThread({ self: () => peers.current().self, keys, clock, log });
  const peerClient = openFillClient({
    keys,
    clock,
    pinger: openUdpPinger(keys),
    peers,
    log,
    ...(peerDeadAfterMs !== undefined && { deadAfterMs: peerDeadAfterMs }),
  });
  const close = async (): Promise<void> => {
    await Promise.all([
      peerKeys?.close(),
      peerClient.close(),
      liveness.close(),
      peers.close(),
      origin.close(),
      store.close(),
    ]);
  };
  return { origin, store, peers, peerKeys, peerClient, liveness, close };
}

/** Calls of the drivers become spans, if spans are exported. */
function withSpans(drivers: Drivers, telemetry: Telemetry | undefined): Drivers {
  if (telemetry === undefined) return drivers;
  return {
    ...drivers,
    origin: tracedOrigin(drivers.origin),
    store: tracedStore(drivers.store),
    peerClient: tracedPeers(drivers.peerClient),
  };
}

function buildEngine(
  { config, clock, poisonMemory = false }: CacheOptions,
  { origin, store, peers, peerClient }: Drivers,
  metrics: CacheMetrics,
  runtime: Runtime,
): Engine {
  return openEngine({
    settings: { ...config, origin: { ...config.origin, fingerprint: originFingerprint(config) } },
    origin,
    store,
    peers,
    peerClient,
    observer: metrics.engine,
    clock,
    random: Math.random,
    targetGlobal: () => runtime.settings().targetGlobal,
    readahead: () => runtime.settings().readahead,
    capacity: () => runtime.settings().capacity,
    poisonMemory,
  });
}

/** Walks the runs of OrcaPrewarms until the process receives a signal to stop, so that another replica can continue them at once. */
function startPrewarms(
  { config, clock, log, stopping, kube }: CacheOptions,
  { peers }: Drivers,
  engine: Engine,
  metrics: CacheMetrics,
) {
  if (config.prewarms === undefined) return undefined;
  const prewarms = openPrewarms({
    ...config.prewarms,
    engine,
    originId: config.origin.id,
    peers,
    client: kube ?? openKube(clock),
    clock,
    random: Math.random,
    log,
    count: (counted) => metrics.prewarm(counted),
  });
  metrics.watchPrewarms(prewarms);
  const ended = prewarms.run(stopping).catch((error: unknown) => {
    if (!stopping.aborted) log.error('prewarms: ended unexpectedly', { error });
  });
  return { prewarms, ended };
}

/** Probes of the cachestore and the origin, the readiness that depends on them, and the gauges that show them. */
function openProbes(
  { config, clock, log }: CacheOptions,
  { origin, store, peers, liveness }: Drivers,
  engine: Engine,
  metrics: CacheMetrics,
  runtime: Runtime,
  signal: AbortSignal,
) {
  const { buckets } = config.origin;
  const storeProbe = new StoreProbe({
    guarded: engine.store,
    store,
    peers,
    clock,
    observer: metrics.engine,
    random: Math.random,
    onVerdict: (verdict, source) => logVerdict(log, verdict, source),
  });
  metrics.watch({ engine, peers, storeProbe, liveness });
  const originProbes = new OriginProbes({ origin, buckets, clock, observer: metrics.engine });
  const readiness = watchReadiness({
    probes: originProbes,
    storeProbe,
    store,
    identity: engine.identity,
    buckets,
    peers,
    clock,
    log,
    signal,
    isProven:
      config.runtimeFile === undefined ? undefined : () => runtime.settings().provenConfigs.includes(config.hash),
  });
  return { storeProbe, originProbes, readiness };
}

/** A warning if the cachestore's capabilities cost something: extra requests, or storage for old versions. */
function logVerdict(log: RootLog, verdict: StoreVerdict, source: 'probed' | 'noted'): void {
  const fields = { condition: verdict.condition, problems: verdict.problems, versioned: verdict.versioned, source };
  const isFine = verdict.condition === 'atomic' && verdict.problems.length === 0;
  log[isFine ? 'info' : 'warn'](`cachestore: ${describeVerdict(verdict)}`, fields);
  if (verdict.versioned === true)
    log.warn('cachestore: the bucket is versioned, so deleted and replaced objects still cost money', fields);
}
