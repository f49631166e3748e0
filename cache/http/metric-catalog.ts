/**
 * The counters and histograms of a cache pod: name, help, labels and the values of each label. `metrics.ts` registers them, and a test
 * compares them with docs/reference/metrics.md. The lists of values are exhaustive: a missing one does not compile.
 */
import { EVICTION_REASONS } from '#cache/core/capacity/usage-codec.ts';
import { CONDITIONAL_WRITE_SUPPORT } from '#cache/core/store-verdict.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { Observer } from '#cache/engine/ports.ts';
import type { CacheStatus } from './edge/call.ts';
import type { ShedReason } from './listener/connection-table.ts';
import type { StallOutcome } from './listener/send-body.ts';

export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  /** The values of each label, or OPEN. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
}

/** A label whose values come from the configuration, or from a protocol. They are bounded, but not listed. */
export const OPEN: readonly string[] = [];
/** Stands for any error code (docs/reference/errors.md). */
export const ERROR_CODE = '<error code>';

type Values<Method extends keyof Observer> = Parameters<Observer[Method]>[0] & string;

export const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'] as const;
const LISTENERS = ['edge', 'peer'];
const PEER_CALLS = ['fill', 'head', 'invalidate', 'reads', 'usage', 'warm'].map((name) => `/internal/${name}`);
const ORIGIN_OPERATIONS = all<Values<'originRequest'>>({ head: 0, read: 0, list: 0, probe: 0, sub_resource: 0 });
const STORE_OPERATIONS = all<Values<'storeRequest'>>({ read: 0, has: 0, commit: 0, probe: 0, list: 0, remove: 0 });

export const CACHE_STATUSES = all<CacheStatus>({ HIT: 0, MISS: 0, STALE: 0, NONE: 0 });
export const SOURCES = all<Source>({ memory: 0, store: 0, peer: 0, peer_fill: 0, fill: 0 });

export const COUNTERS = {
  edgeRequests: {
    name: 'orca_edge_requests_total',
    help: 'Client requests',
    labels: {
      method: [...METHODS, 'other'],
      code: OPEN,
      cache: CACHE_STATUSES,
    },
  },
  servedBytes: {
    name: 'orca_served_bytes_total',
    help: 'Body bytes sent to clients, by their source',
    labels: { source: SOURCES },
  },
  bucketRequests: {
    name: 'orca_bucket_requests_total',
    help: 'Client requests, by bucket',
    labels: { bucket: OPEN, cache: CACHE_STATUSES },
  },
  bucketServedBytes: {
    name: 'orca_bucket_served_bytes_total',
    help: 'Body bytes sent to clients, by bucket and source',
    labels: { bucket: OPEN, source: SOURCES },
  },
  bucketOriginRequests: {
    name: 'orca_bucket_origin_requests_total',
    help: 'Requests to the origin, by bucket',
    labels: { bucket: OPEN },
  },
  bucketOriginBytes: {
    name: 'orca_bucket_origin_bytes_total',
    help: 'Object bytes received from the origin, by bucket',
    labels: { bucket: OPEN },
  },
  originRequests: {
    name: 'orca_origin_requests_total',
    help: 'Requests to the origin',
    labels: { operation: ORIGIN_OPERATIONS, outcome: all<'ok' | 'error'>({ ok: 0, error: 0 }) },
  },
  originBytes: { name: 'orca_origin_bytes_total', help: 'Object bytes received from the origin' },
  storeRequests: {
    name: 'orca_store_requests_total',
    help: 'Requests to the cachestore',
    labels: {
      operation: STORE_OPERATIONS,
      outcome: ['ok', 'won', 'lost', 'buffers_released', 'error', ...CONDITIONAL_WRITE_SUPPORT, ERROR_CODE],
    },
  },
  fills: {
    name: 'orca_fills_total',
    help: 'Completed fills, by outcome',
    labels: { outcome: all<Values<'fill'>>({ committed: 0, lost: 0, uncommitted: 0, failed: 0, cancelled: 0 }) },
  },
  committedBytes: { name: 'orca_committed_bytes_total', help: 'Bytes of the commits that won' },
  sparseReads: {
    name: 'orca_sparse_reads_total',
    help: 'Sparse reads at the coordinator, by the source of their bytes',
    labels: { source: all<Values<'sparseRead'>>({ origin: 0, joined: 0, memory: 0, fill: 0 }) },
  },
  sparseBytes: {
    name: 'orca_sparse_bytes_total',
    help: 'Origin bytes of sparse reads',
    labels: { kind: all<Values<'sparseBytes'>>({ read: 0, excess: 0, reused: 0 }) },
  },
  lists: {
    name: 'orca_lists_total',
    help: 'Pages of lists sent to clients, by their source',
    labels: { source: all<Values<'list'>>({ origin: 0, memory: 0, stale: 0 }) },
  },
  listWrites: {
    name: 'orca_list_writes_total',
    help: 'Pages of lists to keep in the cachestore, by outcome',
    labels: {
      outcome: all<Values<'listWrite'>>({ written: 0, kept_other: 0, too_large: 0, dropped: 0, failed: 0 }),
    },
  },
  evictedBytes: {
    name: 'orca_store_evicted_bytes_total',
    help: 'Bytes of chunks deleted from the cachestore, by reason',
    labels: { reason: EVICTION_REASONS },
  },
  refilledBytes: {
    name: 'orca_store_refilled_bytes_total',
    help: 'Bytes of commits of chunks that had been evicted less than a day before',
  },
  sourceFallbacks: {
    name: 'orca_source_fallbacks_total',
    help: 'Sources that could not provide a chunk, so that the next one was used',
    labels: {
      source: all<Values<'fallThrough'>>({
        head: 0,
        store: 0,
        leaving_replica: 0,
        peer_stall: 0,
        left_behind: 0,
        coordinator: 0,
        runner_up: 0,
      }),
      reason: OPEN,
    },
  },
  peerRequests: {
    name: 'orca_peer_requests_total',
    help: 'Requests from other replicas',
    labels: {
      call: [...PEER_CALLS, 'unknown'],
      outcome: ['bytes', 'stored', 'none', 'not_stored', 'not_coordinator', 'ok', 'unauthorized', ERROR_CODE],
    },
  },
  stalls: {
    name: 'orca_stalls_total',
    help: 'Times a socket accepted no bytes for 5 s',
    labels: { listener: LISTENERS, outcome: all<StallOutcome>({ buffers_released: 0, closed: 0 }) },
  },
  shedConnections: {
    name: 'orca_connections_shed_total',
    help: 'Connections closed to protect other connections',
    labels: { listener: LISTENERS, reason: all<ShedReason>({ idle_evicted: 0, refused: 0, pipelined: 0 }) },
  },
  prewarmObjects: {
    name: 'orca_prewarm_objects_total',
    help: 'Objects of prewarms that this replica walked, by outcome',
    labels: { outcome: ['done', 'failed'] },
  },
  prewarmOriginBytes: {
    name: 'orca_prewarm_origin_bytes_total',
    help: 'Bytes that were read from the origin for prewarms that this replica walked',
  },
  workerRestarts: {
    name: 'orca_worker_restarts_total',
    help: 'Processes of this replica that ended unexpectedly and were started again',
  },
  shutdownResets: { name: 'orca_shutdown_resets_total', help: 'Connections reset when their drain timed out' },
} satisfies Record<string, MetricSpec>;

export const HISTOGRAMS = {
  edgeRequestSeconds: {
    name: 'orca_edge_request_seconds',
    help: 'Time from a request to the last byte of its response',
    labels: { method: [...METHODS, 'other'] },
  },
  firstByteSeconds: {
    name: 'orca_edge_first_byte_seconds',
    help: 'Time from a request to its status line',
  },
  originSeconds: {
    name: 'orca_origin_request_seconds',
    help: 'Duration of origin requests',
    labels: { operation: ORIGIN_OPERATIONS },
  },
  storeSeconds: {
    name: 'orca_store_request_seconds',
    help: 'Duration of cachestore requests',
    labels: { operation: STORE_OPERATIONS },
  },
  sweepSeconds: {
    name: 'orca_sweep_duration_seconds',
    help: 'Duration of listing one of the 256 shards of the cachestore, and of deleting what is evicted there',
    labels: { outcome: all<Values<'sweep'>>({ done: 0, failed: 0 }) },
  },
} satisfies Record<string, MetricSpec>;

/** All members of a union. */
function all<T extends string>(members: Readonly<Record<T, 0>>): readonly T[] {
  return Object.keys(members) as T[];
}
