/** The ops listener: health probes, metrics, a JSON status page and purge. */
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { Registry } from 'prom-client';
import { PURGE_PATH } from '#cache/core/peer/purge-request.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import { openHttpListener, type HttpListener } from '#cache/http/listener/http-listener.ts';
import { objectsHandler, type ObjectsOptions } from './objects.ts';
import { PREWARMS_PATH, type PrewarmReport } from '#shared/prewarm-report.ts';
import type { OriginProbes } from './origin-probes.ts';
import { pinsHandler, type PinsOptions } from './pins.ts';
import { prewarmsHandler } from './prewarms.ts';
import { purgeHandler, type PurgeOptions } from './purge.ts';
import type { Readiness } from './readiness.ts';
import { readsHandler } from './reads.ts';
import { storeFigures, storeHandler } from './store.ts';
import { topOf, type TopOptions } from './top.ts';

/** Probes, scrapes and the operator need a handful. */
const MAX_CONNECTIONS = 256;

export interface OpsOptions extends PinsOptions, PurgeOptions, ObjectsOptions, TopOptions {
  readonly registry: Registry;
  readonly readiness: Readiness;
  readonly probes: OriginProbes;
  readonly storeProbe: StoreProbe;
  readonly peers: PeerView;
  readonly engine: Engine;
  readonly version: string;
  readonly configHash: string;
  readonly originId: string;
  /** What this replica does for prewarms. */
  readonly prewarms: () => readonly PrewarmReport[];
  /** The problems of the runtime file, one line each. */
  readonly runtimeProblems: () => readonly string[];
}

export function openOps(app: Hono): HttpListener {
  // Global Request and Response stay Node's own: SDKs in this process use them too.
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return openHttpListener((request, response) => void listener(request, response), {
    maxConnections: MAX_CONNECTIONS,
  });
}

export function opsApp(options: OpsOptions): Hono {
  const { readiness, registry } = options;
  const app = new Hono();
  // Liveness is that the event loop responds: a restart would not fix anything else.
  app.get('/livez', (c) => c.text('ok'));
  app.get('/readyz', (c) => {
    const ready = readiness.isReady();
    const lines = [...readiness.checks()].map(([name, { ok, message }]) => `[${ok ? '+' : '-'}] ${name}: ${message}`);
    const text = c.req.query('verbose') === undefined ? (ready ? 'ok' : 'not ready') : lines.join('\n');
    return c.text(`${text}\n`, ready ? 200 : 503);
  });
  app.get('/metrics', async (c) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }));
  app.get('/status', (c) => c.json({ ...statusOf(options), workers: [onlyWorker(options)] }));
  app.get(PREWARMS_PATH, prewarmsHandler(options));
  app.get('/pins', pinsHandler(options));
  app.get('/store', storeHandler(options));
  app.get('/objects', objectsHandler(options));
  app.get('/reads', readsHandler(options));
  app.get('/top', async (c) => c.json(await topOf(options)));
  app.post(PURGE_PATH, purgeHandler(options));
  return app;
}

/** A supervisor replaces it by all of its workers. */
function onlyWorker({ readiness, peers }: OpsOptions) {
  const { self } = peers.current();
  return { index: 0, pid: process.pid, state: 'running', restarts: 0, ready: readiness.isReady(), self };
}

/** Read by the operator, and useful for debugging. */
function statusOf({ engine, readiness, probes, storeProbe, peers, ...facts }: OpsOptions) {
  const { self, owners, terminating, epoch } = peers.current();
  const { memory, memoryTier, store, identity, outbox } = engine;
  return {
    version: facts.version,
    configHash: facts.configHash,
    originId: facts.originId,
    ready: readiness.isReady(),
    checks: Object.fromEntries(readiness.checks()),
    runtime: { problems: facts.runtimeProblems() },
    identity: { state: identity.state, message: identity.refusal()?.message ?? '' },
    origin: Object.fromEntries(probes.results()),
    // By the origin's bucket names; only the breakers that are not closed.
    originBreakers: Object.fromEntries(
      [...engine.origin.breakers].flatMap(([bucket, { state }]) => (state === 'closed' ? [] : [[bucket, state]])),
    ),
    store: {
      breaker: store.breaker.state,
      // Without a commit that waits, the last refusal may be hours old, and space may have been freed since.
      full: outbox.isFull && outbox.count > 0,
      condition: storeProbe.condition,
      message: storeProbe.describe(),
      problems: storeProbe.verdict?.problems ?? [],
      versioned: storeProbe.verdict?.versioned,
      hung: store.hung?.count ?? 0,
    },
    capacity: storeFigures(engine.capacity.account()),
    peers: { self, owners, terminating, epoch, staleMs: peers.staleMs() },
    memory: {
      budgetBytes: memory.budgetBytes,
      windowBytes: memory.usedBy('window'),
      fillBytes: memory.usedBy('fill') - memoryTier.sizeBytes,
      tierBytes: memoryTier.sizeBytes,
    },
  };
}
