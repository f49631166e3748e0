/** Every number of a cache pod, as Prometheus sees it; names are listed in docs/reference/metrics.md. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { CONDITIONS } from '#cache/core/store-verdict.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Observer, PeerView } from '#cache/engine/ports.ts';
import type { StoreProbe } from '#cache/engine/upstream/store-probe.ts';
import type { Log } from '#shared/log.ts';
import type { Shed } from '#cache/http/listener/connection-table.ts';
import type { EdgeObserver } from '#cache/http/edge/edge.ts';

/** From a hit in memory to an origin across an ocean. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface CacheMetrics {
  readonly registry: Registry;
  readonly engine: Observer;
  readonly edge: EdgeObserver;
  peerRequest(call: string, outcome: string): void;
  peerStalled(outcome: 'gave_back' | 'cut'): void;
  peerShed(why: Shed): void;
  destroyedAtShutdown(count: number): void;
  /** Gauges that are read when somebody asks. */
  watch(engine: Engine, peers: PeerView, storeProbe: StoreProbe): void;
}

export function openMetrics(log: Log): CacheMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[] = []) =>
    new Histogram({ name, help, labelNames, buckets: SECONDS, registers });

  const requests = counter('orca_edge_requests_total', 'Requests of clients', ['method', 'code', 'cache']);
  const requestSeconds = histogram('orca_edge_request_seconds', 'From request to last byte', ['method']);
  const firstByteSeconds = histogram('orca_edge_first_byte_seconds', 'From request to status line');
  const served = counter('orca_served_bytes_total', 'Body bytes sent to clients, by where they came from', ['source']);
  const originRequests = counter('orca_origin_requests_total', 'Requests to the origin', ['operation', 'outcome']);
  const originSeconds = histogram('orca_origin_request_seconds', 'Requests to the origin', ['operation']);
  const originBytes = counter('orca_origin_bytes_total', 'Object bytes received from the origin');
  const storeRequests = counter('orca_store_requests_total', 'Requests to the cachestore', ['operation', 'outcome']);
  const storeSeconds = histogram('orca_store_request_seconds', 'Requests to the cachestore', ['operation']);
  const fills = counter('orca_fills_total', 'Fills by how they ended', ['outcome']);
  const committed = counter('orca_committed_bytes_total', 'Bytes of commits that won');
  const sparseReads = counter('orca_sparse_reads_total', 'Reads of little of a large chunk, by answer', ['answer']);
  const sparseBytes = counter('orca_sparse_bytes_total', 'Bytes that such reads took from the origin', ['kind']);
  // From the start: in Prometheus a sum over a series that does not exist yet is nothing, and not zero.
  for (const kind of ['read', 'excess', 'reused']) sparseBytes.inc({ kind }, 0);
  const fallThroughs = counter('orca_fall_throughs_total', 'Rungs that did not answer', ['rung', 'reason']);
  const peerRequests = counter('orca_peer_requests_total', 'Requests of other replicas', ['call', 'outcome']);
  const stalls = counter('orca_stalls_total', 'Times that a socket took nothing for 5 s', ['listener', 'outcome']);
  const shed = counter('orca_connections_shed_total', 'Connections ended to make room', ['listener', 'why']);
  const destroyed = counter(
    'orca_shutdown_destroyed_total',
    'Connections that outlived the drain timeout, and were reset',
  );

  return {
    registry,
    engine: {
      originRequest(operation, outcome, durationMs) {
        originRequests.inc({ operation, outcome });
        originSeconds.observe({ operation }, durationMs / 1000);
      },
      originBytes: (lengthBytes) => originBytes.inc(lengthBytes),
      storeRequest(operation, outcome, durationMs) {
        storeRequests.inc({ operation, outcome });
        storeSeconds.observe({ operation }, durationMs / 1000);
      },
      fill: (outcome) => fills.inc({ outcome }),
      committedBytes: (lengthBytes) => committed.inc(lengthBytes),
      sparseRead: (answer) => sparseReads.inc({ answer }),
      sparseBytes: (kind, lengthBytes) => sparseBytes.inc({ kind }, lengthBytes),
      fallThrough: (rung, reason) => fallThroughs.inc({ rung, reason }),
      warn: (message, fields) => log.warn(message, fields),
    },
    edge: {
      request(method, status, cache, durationMs) {
        requests.inc({ method: knownMethod(method), code: String(status), cache });
        requestSeconds.observe({ method: knownMethod(method) }, durationMs / 1000);
      },
      firstByte: (durationMs) => firstByteSeconds.observe(durationMs / 1000),
      served: (source, lengthBytes) => served.inc({ source }, lengthBytes),
      stalled: (outcome) => stalls.inc({ listener: 'edge', outcome }),
      shed: (why) => shed.inc({ listener: 'edge', why }),
    },
    peerRequest: (call, outcome) => peerRequests.inc({ call, outcome }),
    peerStalled: (outcome) => stalls.inc({ listener: 'peer', outcome }),
    peerShed: (why) => shed.inc({ listener: 'peer', why }),
    destroyedAtShutdown: (count) => destroyed.inc(count),
    watch(engine, peers, storeProbe) {
      const isOpen = (breaker: { readonly state: string }) => (breaker.state === 'closed' ? 0 : 1);
      registry.registerMetric(
        new Gauge({
          name: 'orca_breaker_open',
          help: '1 while a breaker keeps requests away from what is down',
          labelNames: ['name'],
          registers: [],
          collect() {
            this.set({ name: 'store' }, isOpen(engine.store.breaker));
            for (const [bucket, breaker] of engine.origin.breakers)
              this.set({ name: `origin/${bucket}` }, isOpen(breaker));
          },
        }),
      );
      registry.registerMetric(
        new Gauge({
          name: 'orca_store_condition',
          help: '1 for what the conditional writes of the cachestore are known to be',
          labelNames: ['condition'],
          registers: [],
          collect() {
            for (const condition of ['unknown', ...CONDITIONS])
              this.set({ condition }, condition === storeProbe.condition ? 1 : 0);
          },
        }),
      );
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(read());
          },
        });
      gauge('orca_memory_budget_bytes', 'All chunk bytes may take', () => engine.memory.budgetBytes);
      gauge('orca_memory_window_bytes', 'Streaming windows', () => engine.memory.usedBy('window'));
      gauge('orca_memory_fill_bytes', 'Fills and the memory tier', () => engine.memory.usedBy('fill'));
      gauge('orca_memory_tier_bytes', 'Chunks kept after their commit', () => engine.memoryTier.sizeBytes);
      gauge('orca_memory_waiting_started', 'Started responses waiting for memory', () =>
        engine.memory.waiting('started'),
      );
      gauge('orca_memory_waiting_new', 'New requests waiting for memory', () => engine.memory.waiting('new'));
      gauge('orca_store_versioned', '1 where the cachestore’s bucket keeps what is deleted', () =>
        storeProbe.verdict?.versioned === true ? 1 : 0,
      );
      gauge('orca_catalog_entries', 'Chunks known to be stored', () => engine.catalog.size);
      gauge('orca_metadata_entries', 'Objects and absences known', () => engine.metadata.size);
      gauge('orca_outbox_commits', 'Commits that wait for the cachestore', () => engine.outbox.count);
      gauge('orca_outbox_bytes', 'Their memory', () => engine.outbox.sizeBytes);
      gauge('orca_manifests_waiting', 'Manifests to be written', () => engine.manifests.waiting);
      gauge('orca_flights', 'Fills under way', () => engine.flights.count);
      gauge('orca_inbound_streams', 'Streams of chunks from other replicas', () => engine.inbound.count);
      gauge('orca_inbound_readers', 'Responses that read along with them', () => engine.inbound.readers);
      gauge('orca_origin_slots', 'Origin requests this replica may have at once', () => engine.limiter.slots);
      gauge('orca_origin_running', 'Origin requests under way', () => engine.limiter.running);
      gauge('orca_origin_queued', 'Origin requests waiting for a slot', () => engine.limiter.queued);
      gauge('orca_peers', 'Owners in this replica’s view', () => peers.current().owners.length);
      // 52 bits of the epoch's 64 fit a float exactly: enough to see who disagrees.
      gauge('orca_peers_epoch', 'A hash of the owners', () => Number.parseInt(peers.current().epoch.slice(0, 13), 16));
      gauge('orca_peers_stale_seconds', 'Since the last good peer list', () => peers.staleMs() / 1000);
    },
  };
}

/** Methods come from clients: an unbounded label would be a way to fill our memory. */
function knownMethod(method: string): string {
  return ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'].includes(method) ? method : 'other';
}
