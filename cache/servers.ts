/** The cache's three listeners, edge, peer and ops, wired to the engine. */
import type { Config } from '#cache/config/config.ts';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { openAccessLog } from '#cache/http/edge/access-log.ts';
import { openEdge } from '#cache/http/edge/edge.ts';
import { openEdgeKeys, openTlsKeys } from '#cache/http/edge/secrets.ts';
import type { Activity } from '#cache/http/activity.ts';
import type { HttpListener } from '#cache/http/listener/http-listener.ts';
import { openSendQueues, type UnackedBytes } from '#cache/http/listener/send-queues.ts';
import type { CacheMetrics } from '#cache/http/metrics.ts';
import { openOps, opsApp } from '#cache/http/ops/ops.ts';
import type { OriginProbes } from '#cache/http/ops/origin-probes.ts';
import type { Readiness } from '#cache/http/ops/readiness.ts';
import { openPeerListener } from '#cache/http/peer/peer.ts';
import type { Prewarms } from '#cache/prewarm/prewarms.ts';
import packageJson from '#package' with { type: 'json' };
import type { Clock } from '#shared/clock.ts';
import type { RootLog } from '#shared/log.ts';
import type { Tracer } from '#shared/trace.ts';

export interface ServersOptions {
  readonly config: Config;
  readonly engine: Engine;
  readonly peers: PeerView;
  readonly peerKeys: { current(): PeerKeys } | undefined;
  readonly metrics: CacheMetrics;
  readonly readiness: Readiness;
  readonly originProbes: OriginProbes;
  readonly storeProbe: StoreProbe;
  readonly activity: Activity;
  readonly prewarms: Pick<Prewarms, 'reports' | 'pinOwner'> | undefined;
  readonly runtimeProblems: () => readonly string[];
  /** undefined = no spans. */
  readonly tracer: Tracer | undefined;
  readonly clock: Clock;
  readonly log: RootLog;
}

/** Not yet listening. */
export interface Servers {
  readonly edge: HttpListener;
  readonly peer: HttpListener;
  readonly ops: HttpListener;
  /** What the ops listener answers with. */
  readonly opsApp: ReturnType<typeof opsApp>;
  /** Stops watching the edge's mounted Secrets. */
  closeSecrets(): Promise<void>;
}

export async function openServers(options: ServersOptions): Promise<Servers> {
  const unackedBytes = openSendQueues();
  const { edge, closeSecrets } = await openEdgeServer(options, unackedBytes);
  const app = openOpsApp(options);
  return { edge, peer: openPeerServer(options, unackedBytes), ops: openOps(app), opsApp: app, closeSecrets };
}

/** Resolves with the ports once all three listeners accept; the edge is last, when the others can already answer. */
export async function listen({ edge, peer, ops }: Servers, addresses: Config['listen']) {
  return {
    ops: await ops.listen(addresses.ops.host, addresses.ops.port),
    peer: await peer.listen(addresses.peer.host, addresses.peer.port),
    edge: await edge.listen(addresses.edge.host, addresses.edge.port),
  };
}

/**
 * Resolves once a worker's peer listener accepts. Its parent has the ops listener. The kernel sends clients to each
 * process that accepts them, so the edge listener does from when this one is ready: also after a restart.
 */
export async function listenAsWorker(
  { edge, peer }: Servers,
  addresses: Config['listen'],
  readiness: Pick<Readiness, 'untilReady'>,
): Promise<{ readonly serving: Promise<void> }> {
  await peer.listen(addresses.peer.host, addresses.peer.port);
  const serve = async (): Promise<void> => {
    await readiness.untilReady;
    await edge.listen(addresses.edge.host, addresses.edge.port, { reusePort: true });
  };
  return { serving: serve() };
}

async function openEdgeServer(
  { config, engine, metrics, tracer, clock, log }: ServersOptions,
  unackedBytes: UnackedBytes,
) {
  const { auth, tlsDirectory, accessLog } = config.edge;
  const keys = auth.type === 'Anonymous' ? undefined : await openEdgeKeys(auth, { clock, log });
  const tls =
    tlsDirectory === undefined
      ? undefined
      : await openTlsKeys(tlsDirectory, { clock, log, onChange: (next) => edge.setTlsKeys(next) });
  const edge: HttpListener = openEdge({
    engine,
    auth: keys === undefined ? { type: 'Anonymous' } : { type: keys.type, keys: () => keys.current() },
    tls: tls?.current(),
    region: config.edge.region,
    buckets: new BucketTable(config.origin.buckets),
    maxConnections: config.edge.maxConnections,
    ignoreCacheControl: config.edge.ignoreClientCacheControl,
    explain: config.edge.explain,
    virtualHostDomains: config.edge.virtualHostDomains,
    corsOrigins: config.edge.corsOrigins,
    clock,
    unackedBytes,
    observer: metrics.edge,
    tracer,
    log,
    accessLog: accessLog && openAccessLog(accessLog, (line) => log.line(line)),
  });
  const closeSecrets = async (): Promise<void> => {
    await Promise.all([keys?.close(), tls?.close()]);
  };
  return { edge, closeSecrets };
}

function openPeerServer(
  { config, engine, peers, peerKeys, metrics, tracer, clock, log }: ServersOptions,
  unackedBytes: UnackedBytes,
): HttpListener {
  return openPeerListener({
    engine,
    peers,
    keys: peerKeys,
    originId: config.origin.id,
    buckets: new BucketTable(config.origin.buckets),
    // The budget's limit for any chunk size, because peers may use an older or newer configuration.
    maxChunkSizeBytes: config.memory.budgetBytes / 4,
    clock,
    unackedBytes,
    observer: metrics,
    tracer,
    log,
  });
}

function openOpsApp(options: ServersOptions): Servers['opsApp'] {
  const { config, engine, peers, peerKeys, metrics, readiness, originProbes, storeProbe, activity, clock } = options;
  return opsApp({
    registry: metrics.registry,
    readiness,
    probes: originProbes,
    storeProbe,
    engine,
    peers,
    keys: peerKeys,
    purge: (name) => engine.purge(name),
    purgeChunks: (name, signal) => engine.purgeChunks(name, signal),
    activity,
    buckets: new BucketTable(config.origin.buckets),
    chunking: config.chunking,
    clock,
    version: packageJson.version,
    configHash: config.hash,
    originId: config.origin.id,
    runtimeProblems: options.runtimeProblems,
    prewarms: () => options.prewarms?.reports() ?? [],
    pinOwner: (pin) => options.prewarms?.pinOwner(pin),
  });
}
