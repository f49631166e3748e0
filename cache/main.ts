/**
 * The cache workload: `node cache/main.ts --config FILE`, or `check-config FILE`. Only wires, and takes apart again in
 * the reverse order.
 */
import { parseArgs } from 'node:util';
import packageJson from '#package' with { type: 'json' };
import { systemClock } from '#shared/clock.ts';
import { openLifecycle, shutDown } from '#shared/lifecycle.ts';
import { openLog } from '#shared/log.ts';
import { checkConfig } from './config/check.ts';
import type { Config } from './config/config.ts';
import { ConfigError, loadConfig } from './config/load.ts';
import { configuredSettings, watchRuntime } from './config/runtime.ts';
import { openOrigin, openPeers, openStore } from './drivers.ts';
import { openEngine } from './engine/engine.ts';
import { openEdge } from './http/edge.ts';
import { openMetrics } from './http/metrics.ts';
import { openOps } from './http/ops.ts';
import { openPeerListener } from './http/peer.ts';
import { watchReadiness } from './http/readiness.ts';
import { openFillClient } from './peers/fill-client.ts';
import { openPeerKeys } from './peers/keys.ts';

const USAGE = 'usage: node cache/main.ts --config FILE\n       node cache/main.ts check-config FILE\n';
/** What must end after the streams: the ops listener answers the last probe, sockets close. */
const CLOSE_TIMEOUT_MS = 2_000;

const { values, positionals } = parseArgs({
  options: { config: { type: 'string' }, help: { type: 'boolean' } },
  allowPositionals: true,
});
if (positionals[0] === 'check-config' && positionals[1] !== undefined) {
  const { exitCode, output } = checkConfig(positionals[1], process.env);
  (exitCode === 0 ? process.stdout : process.stderr).write(output);
  process.exitCode = exitCode;
} else if (values.config !== undefined && positionals.length === 0) {
  await run(configOrExit(values.config));
} else {
  (values.help === true ? process.stdout : process.stderr).write(USAGE);
  process.exitCode = values.help === true ? 0 : 2;
}

function configOrExit(path: string): Config {
  try {
    return loadConfig(path, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(error.mistakes.map((line) => `${line}\n`).join(''));
    process.exit(1);
  }
}

async function run(config: Config): Promise<void> {
  const clock = systemClock;
  const log = openLog({ name: 'orcacache', level: config.logLevel });
  const { stopping } = openLifecycle(log);
  const ended = new AbortController();
  const metrics = openMetrics(log);

  let runtime = configuredSettings(config);
  const watching = watchRuntime({
    config,
    env: process.env,
    clock,
    signal: ended.signal,
    onChange: (settings) => {
      runtime = settings;
      log.setLevel(settings.logLevel);
    },
    onMistakes: (mistakes) =>
      log.warn('the runtime file has mistakes; their keys keep their last good value', { mistakes }),
  });

  const origin = openOrigin(config);
  const store = openStore(config);
  const peers = openPeers(config, { clock, log, stopping });
  const { authDirectory } = config.peers;
  const keys = authDirectory === undefined ? undefined : await openPeerKeys(authDirectory, clock, log);
  const peerClient = openFillClient({ keys: () => keys?.current(), clock });
  const engine = openEngine({
    settings: config,
    origin,
    store,
    peers,
    peerClient,
    observer: metrics.engine,
    clock,
    random: Math.random,
    targetGlobal: () => runtime.targetGlobal,
    readahead: () => runtime.readahead,
  });
  metrics.watch(engine, peers);
  const readiness = watchReadiness({
    origin,
    store,
    buckets: config.origin.buckets,
    peers,
    clock,
    observer: metrics.engine,
    log,
    signal: ended.signal,
    // Without an operator there is nobody to say it: then every configuration counts as proven.
    isProven: () => config.runtimeFile === undefined || runtime.provenConfig === config.hash,
  });

  const edge = openEdge({
    engine,
    region: config.edge.region,
    buckets: new Set(config.origin.buckets.map(({ name }) => name)),
    maxConnections: config.edge.maxConnections,
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
    peers,
    version: packageJson.version,
    configHash: config.hash,
    originId: config.origin.id,
  });
  const { listen } = config;
  const ports = {
    ops: await ops.listen(listen.ops.host, listen.ops.port),
    peer: await peer.listen(listen.peer.host, listen.peer.port),
    edge: await edge.listen(listen.edge.host, listen.edge.port),
  };
  log.info('listening', { ports, version: packageJson.version, configHash: config.hash, origin: config.origin.id });

  if (!stopping.aborted) await new Promise((resolve) => stopping.addEventListener('abort', resolve, { once: true }));
  const { propagationDelayMs, drainTimeoutMs } = config.shutdown;
  const drain = async (listener: typeof edge, signal: AbortSignal) => {
    metrics.destroyedAtShutdown((await listener.drain(signal)).destroyed);
  };
  await shutDown(
    [
      {
        // Load balancers go on sending for a moment: accept, and let each answer close its connection.
        name: 'propagate',
        timeoutMs: propagationDelayMs + CLOSE_TIMEOUT_MS,
        run: async (signal) => {
          readiness.startDraining();
          edge.startDraining();
          await clock.sleep(propagationDelayMs, signal);
        },
      },
      {
        name: 'finish streams and fills',
        timeoutMs: drainTimeoutMs,
        run: async (signal) => {
          await Promise.all([drain(edge, signal), engine.idle()]);
        },
      },
      { name: 'drain peers', timeoutMs: CLOSE_TIMEOUT_MS, run: (signal) => drain(peer, signal) },
      {
        name: 'close',
        timeoutMs: CLOSE_TIMEOUT_MS,
        run: async (signal) => {
          ended.abort(new Error('the process ends'));
          await Promise.all([
            watching,
            ops.drain(signal),
            keys?.close(),
            peerClient.close(),
            peers.close(),
            origin.close(),
            store.close(),
          ]);
        },
      },
    ],
    log,
    clock,
  );
  log.info('stopped');
  // Idle sockets and timers hold nothing that matters any more.
  process.exit(0);
}
