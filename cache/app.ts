/**
 * A cache from its configuration: drivers, engine and the three listeners wired together, and taken apart again in the
 * reverse order. `main.ts` runs one in a process; tests run several.
 */
import packageJson from '#package' with { type: 'json' };
import type { Clock } from '#shared/clock.ts';
import { shutDown } from '#shared/lifecycle.ts';
import type { RootLog } from '#shared/log.ts';
import type { Config } from '#cache/config/config.ts';
import { configuredSettings, watchRuntime } from '#cache/config/runtime.ts';
import { describeVerdict, type StoreVerdict } from '#cache/core/store-verdict.ts';
import { openOrigin, openPeers, openStore, originFingerprint } from './drivers.ts';
import { openEngine, type Engine } from '#cache/engine/engine.ts';
import { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import type { HttpListener } from '#cache/http/listener/http-listener.ts';
import { openEdge } from '#cache/http/edge/edge.ts';
import { openEdgeKeys, openTlsKeys } from '#cache/http/edge/secrets.ts';
import { openMetrics } from '#cache/http/metrics.ts';
import { openOps } from '#cache/http/ops/ops.ts';
import { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import { openPeerListener } from '#cache/http/peer/peer.ts';
import { watchReadiness } from '#cache/http/ops/readiness.ts';
import { openFillClient } from '#cache/peers/fill-client.ts';
import { openPeerKeys } from '#cache/peers/keys.ts';

/** What must end after the streams: the ops listener answers the last probe, sockets close. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A commit that is left behind costs a fill some day, no more. */
const FLUSH_TIMEOUT_MS = 10_000;

export interface CacheOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: RootLog;
  /** Aborts when the process is told to stop: from then on this replica owns nothing new. */
  readonly stopping: AbortSignal;
  /** For tests: overwrites memory as it is given back. */
  readonly poisonMemory?: boolean;
  /** For tests: several replicas in one process share its event loop, whose turns then say nothing of a peer's health. */
  readonly peerDeadAfterMs?: number;
}

export interface Cache {
  readonly ports: { readonly edge: number; readonly peer: number; readonly ops: number };
  readonly engine: Engine;
  readonly storeProbe: StoreProbe;
  /** Drains, then closes everything, within the bounds of the configuration. Never rejects. */
  shutDown(): Promise<void>;
}

/** Resolves once all three listeners accept. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const { config, env, clock, log, stopping } = options;
  const ended = new AbortController();
  const metrics = openMetrics(log);

  let runtime = configuredSettings(config);
  let runtimeMistakes: readonly string[] = [];
  const watching = watchRuntime({
    config,
    env,
    clock,
    signal: ended.signal,
    onChange: (settings) => {
      runtime = settings;
      log.setLevel(settings.logLevel);
    },
    onMistakes: (mistakes) => {
      runtimeMistakes = mistakes;
      if (mistakes.length === 0) log.info('the runtime file is good again');
      else log.warn('the runtime file has mistakes; their keys keep their last good value', { mistakes });
    },
  });

  const origin = openOrigin(config, env);
  const store = openStore(config, env);
  const peers = openPeers(config, { clock, log, stopping });
  const { authDirectory } = config.peers;
  const keys = authDirectory === undefined ? undefined : await openPeerKeys(authDirectory, clock, log);
  const peerClient = openFillClient({
    keys: () => keys?.current(),
    clock,
    ...(options.peerDeadAfterMs !== undefined && { deadAfterMs: options.peerDeadAfterMs }),
  });
  const engine = openEngine({
    settings: { ...config, origin: { ...config.origin, fingerprint: originFingerprint(config) } },
    origin,
    store,
    peers,
    peerClient,
    observer: metrics.engine,
    clock,
    random: Math.random,
    targetGlobal: () => runtime.targetGlobal,
    readahead: () => runtime.readahead,
    poisonMemory: options.poisonMemory ?? false,
  });
  const running = engine.run(ended.signal);
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
  const probes = new OriginProbes({ origin, buckets: config.origin.buckets, clock, observer: metrics.engine });
  const readiness = watchReadiness({
    probes,
    storeProbe,
    store,
    identity: engine.identity,
    buckets: config.origin.buckets,
    peers,
    clock,
    log,
    signal: ended.signal,
    // Without an operator there is nobody to say it: then every configuration counts as proven.
    isProven: () => config.runtimeFile === undefined || runtime.provenConfigs.includes(config.hash),
  });

  const edgeKeys =
    config.edge.auth.type === 'Anonymous' ? undefined : await openEdgeKeys(config.edge.auth, { clock, log });
  const edgeTls =
    config.edge.tlsDirectory === undefined
      ? undefined
      : await openTlsKeys(config.edge.tlsDirectory, { clock, log, onChange: (next) => edge.setTlsKeys(next) });
  const edge: HttpListener = openEdge({
    engine,
    auth: edgeKeys === undefined ? { type: 'Anonymous' } : { type: edgeKeys.type, keys: () => edgeKeys.current() },
    tls: edgeTls?.current(),
    region: config.edge.region,
    buckets: new Set(config.origin.buckets.map(({ name }) => name)),
    maxConnections: config.edge.maxConnections,
    explain: config.edge.explain,
    virtualHostDomains: config.edge.virtualHostDomains,
    corsOrigins: config.edge.corsOrigins,
    clock,
    observer: metrics.edge,
    log,
  });
  const peer = openPeerListener({
    engine,
    peers,
    keys,
    originId: config.origin.id,
    buckets: config.origin.buckets,
    // As many as the budget is checked for: a peer may ask for chunks of an older or newer configuration.
    maxChunkSizeBytes: config.memory.budgetBytes / 4,
    clock,
    observer: metrics,
    log,
  });
  const ops = openOps({
    registry: metrics.registry,
    readiness,
    probes,
    storeProbe,
    engine,
    peers,
    keys,
    purge: (name) => engine.purge(name),
    clock,
    version: packageJson.version,
    configHash: config.hash,
    originId: config.origin.id,
    runtimeMistakes: () => runtimeMistakes,
  });
  const { listen } = config;
  const ports = {
    ops: await ops.listen(listen.ops.host, listen.ops.port),
    peer: await peer.listen(listen.peer.host, listen.peer.port),
    edge: await edge.listen(listen.edge.host, listen.edge.port),
  };
  log.info('listening', { ports, version: packageJson.version, configHash: config.hash, origin: config.origin.id });

  const { propagationDelayMs, drainTimeoutMs } = config.shutdown;
  const drain = async (listener: HttpListener, signal: AbortSignal) => {
    metrics.destroyedAtShutdown((await listener.drain(signal)).destroyed);
  };
  const steps = [
    {
      // Load balancers go on sending for a moment: accept, and let each answer close its connection.
      name: 'propagate',
      timeoutMs: propagationDelayMs + CLOSE_TIMEOUT_MS,
      run: async (signal: AbortSignal) => {
        readiness.startDraining();
        edge.startDraining();
        await clock.sleep(propagationDelayMs, signal);
      },
    },
    {
      name: 'finish streams and fills',
      timeoutMs: drainTimeoutMs,
      run: async (signal: AbortSignal) => {
        await Promise.all([drain(edge, signal), engine.idle()]);
      },
    },
    { name: 'flush the outbox', timeoutMs: FLUSH_TIMEOUT_MS, run: (signal: AbortSignal) => engine.flush(signal) },
    { name: 'drain peers', timeoutMs: CLOSE_TIMEOUT_MS, run: (signal: AbortSignal) => drain(peer, signal) },
    {
      name: 'close',
      timeoutMs: CLOSE_TIMEOUT_MS,
      run: async (signal: AbortSignal) => {
        ended.abort(new Error('the process ends'));
        await Promise.all([
          watching,
          running,
          ops.drain(signal),
          keys?.close(),
          edgeKeys?.close(),
          edgeTls?.close(),
          peerClient.close(),
          peers.close(),
          origin.close(),
          store.close(),
        ]);
      },
    },
  ];
  return { ports, engine, storeProbe, shutDown: () => shutDown(steps, log, clock) };
}

/** What an operator should know of the cachestore: loud where it costs something. */
function logVerdict(log: RootLog, verdict: StoreVerdict, source: 'probed' | 'noted'): void {
  const fields = { condition: verdict.condition, problems: verdict.problems, versioned: verdict.versioned, source };
  const isFine = verdict.condition === 'atomic' && verdict.problems.length === 0;
  log[isFine ? 'info' : 'warn'](`cachestore: ${describeVerdict(verdict)}`, fields);
  if (verdict.versioned === true)
    log.warn('the cachestore’s bucket is versioned: what is deleted or replaced there stays and is paid for', fields);
}
