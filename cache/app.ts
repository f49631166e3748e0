/**
 * Builds a cache from its configuration: drivers, engine and the three listeners; and shuts it down in reverse order.
 * `main.ts` runs one in a process; tests run several.
 */
import type { Config } from '#cache/config/config.ts';
import { configuredSettings, watchRuntime } from '#cache/config/runtime.ts';
import { crc32Problem } from '#cache/core/crc32.ts';
import { describeVerdict, type StoreVerdict } from '#cache/core/store-verdict.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { openEngine, type Engine } from '#cache/engine/engine.ts';
import { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { openActivity } from '#cache/http/activity.ts';
import { openMetrics, type CacheMetrics } from '#cache/http/metrics.ts';
import { openPrewarms } from '#cache/prewarm/prewarms.ts';
import { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import { watchReadiness } from '#cache/http/ops/readiness.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { openPeerKeys } from '#cache/peers/keys.ts';
import { openTelemetry, type Telemetry } from '#cache/telemetry/otlp.ts';
import { tracedOrigin, tracedPeers, tracedStore } from '#cache/telemetry/traced-ports.ts';
import packageJson from '#package' with { type: 'json' };
import type { Clock } from '#shared/clock.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { shutDown } from '#shared/lifecycle.ts';
import type { RootLog } from '#shared/log.ts';
import { openKube, openOrigin, openPeers, openStore, originFingerprint } from './drivers.ts';
import { listen, openServers } from './servers.ts';
import { shutdownSteps } from './shutdown-steps.ts';

export interface CacheOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: RootLog;
  /** Aborts when the process receives a signal to stop: from then on this replica owns no new chunks. */
  readonly stopping: AbortSignal;
  /** Which of several workers this is: `config` is that of `workerConfig`. Default: 0. */
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
  const { config, clock, log } = options;
  const closing = new AbortController();
  const metrics = openMetrics({ buckets: new BucketTable(config.origin.buckets), costs: config.costs, log });
  const runtime = followRuntime(options, closing.signal);
  const telemetry = config.telemetry && (await openTelemetry(config.telemetry, packageJson.version));
  const drivers = withSpans(await openDrivers(options), telemetry);
  const engine = buildEngine(options, drivers, metrics, runtime);
  const running = engine.run(closing.signal);
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
  const ports = await listen(servers, config.listen);
  if (crc32Problem !== undefined)
    log.warn('CRC-32: computed by portable code, which costs more CPU', { problem: crc32Problem });
  log.info('listening', { ports, version: packageJson.version, configHash: config.hash, origin: config.origin.id });

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
  return { ports, engine, storeProbe: probes.storeProbe, shutDown: () => shutDown(steps, log, clock) };
}

type Runtime = ReturnType<typeof followRuntime>;
type Drivers = Awaited<ReturnType<typeof openDrivers>>;

/** The settings that can change while the process runs. */
function followRuntime({ config, env, clock, log }: CacheOptions, signal: AbortSignal) {
  let settings = configuredSettings(config);
  let problems: readonly string[] = [];
  const done = watchRuntime({
    config,
    env,
    clock,
    signal,
    onChange: (next) => {
      settings = next;
      log.setLevel(next.logLevel);
    },
    onProblems: (next) => {
      problems = next;
      if (next.length === 0) log.info('runtime file: valid again');
      else log.warn('runtime file: invalid; the affected keys keep their last valid value', { problems });
    },
  });
  return { settings: () => settings, problems: () => problems, done };
}

/** The implementations of the engine's ports. */
async function openDrivers({ config, env, clock, log, stopping, kube, peerDeadAfterMs, worker = 0 }: CacheOptions) {
  const origin = openOrigin(config, env);
  const store = openStore(config, env);
  const peers = openPeers(config, { clock, log, stopping, kube, worker });
  const { authDirectory } = config.peers;
  const peerKeys = authDirectory === undefined ? undefined : await openPeerKeys(authDirectory, clock, log);
  const peerClient = openFillClient({
    keys: () => peerKeys?.current(),
    clock,
    ...(peerDeadAfterMs !== undefined && { deadAfterMs: peerDeadAfterMs }),
  });
  const close = async (): Promise<void> => {
    await Promise.all([peerKeys?.close(), peerClient.close(), peers.close(), origin.close(), store.close()]);
  };
  return { origin, store, peers, peerKeys, peerClient, close };
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
  { origin, store, peers }: Drivers,
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
  metrics.watch(engine, peers, storeProbe);
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
