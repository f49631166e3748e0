/**
 * Every metric of a cache pod: name, help, labels and the values of each label. `metrics.ts` registers them, and a test
 * compares them with docs/reference/metrics.md. The lists of values are exhaustive: a missing one does not compile.
 */
import { ACCOUNT_STATES } from '#cache/core/capacity/store-account.ts';
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

export const GAUGES = {
  breakerOpen: {
    name: 'orca_breaker_open',
    help: '1 while a circuit breaker is open',
    labels: { name: OPEN },
  },
  conditionalWrites: {
    name: 'orca_store_conditional_writes',
    help: '1 for what is known about the conditional writes of the cachestore',
    labels: { support: ['unknown', ...CONDITIONAL_WRITE_SUPPORT] },
  },
  storeState: {
    name: 'orca_store_state',
    help: '1 for the state of the cachestore: whether it is counted, evicted from, or short of space',
    labels: { state: ACCOUNT_STATES },
  },
  storeUsedBytes: { name: 'orca_store_used_bytes', help: 'Size of the chunks of this cache in the cachestore' },
  storeCapacityBytes: { name: 'orca_store_capacity_bytes', help: 'Limit of the used bytes' },
  storePinnedBytes: { name: 'orca_store_pinned_bytes', help: 'Size of the chunks that are pinned' },
  storeForeignBytes: { name: 'orca_store_foreign_bytes', help: 'Size of what other caches have in the cachestore' },
  storeChunks: { name: 'orca_store_chunks', help: 'Chunks of this cache in the cachestore' },
  storeCutoffAgeSeconds: {
    name: 'orca_store_cutoff_age_seconds',
    help: 'Chunks that were not read for longer are evicted now',
  },
  sweepAgeSeconds: { name: 'orca_sweep_age_seconds', help: 'Time since the oldest sweep of a shard of this replica' },
  sweepIntervalSeconds: { name: 'orca_sweep_interval_seconds', help: 'Interval in which each shard is swept' },
  storeVersioned: { name: 'orca_store_versioned', help: '1 if the bucket of the cachestore keeps old versions' },
  storeHungOperations: {
    name: 'orca_store_hung_operations',
    help: 'File operations of the cachestore that have not returned within their limit',
  },
  storeHungBytes: { name: 'orca_store_hung_bytes', help: 'Memory that hung file operations hold until they return' },
  originBytesSaved: {
    name: 'orca_origin_bytes_saved_total',
    help: 'Bytes sent to clients minus bytes received from the origin, since the start',
    labels: { bucket: OPEN },
  },
  savedDollars: {
    name: 'orca_saved_dollars_total',
    help: 'What clients would have cost at the origin minus what the cache cost there, since the start',
    labels: { bucket: OPEN },
  },
  originPriceDollars: {
    name: 'orca_origin_price_dollars',
    help: 'Prices of the origin, as configured',
    labels: { unit: ['gigabyte', '1000_requests'] },
  },
  crc32Accelerated: { name: 'orca_crc32_accelerated', help: '1 if CRC-32 is computed with vector instructions' },
  memoryBudgetBytes: { name: 'orca_memory_budget_bytes', help: 'Limit of all chunk bytes' },
  memoryWindowBytes: { name: 'orca_memory_window_bytes', help: 'Memory of streaming windows' },
  memoryFillBytes: { name: 'orca_memory_fill_bytes', help: 'Memory of fills and the memory tier' },
  memoryTierBytes: { name: 'orca_memory_tier_bytes', help: 'Memory of chunks kept after their commit' },
  memoryQueuedBytes: {
    name: 'orca_memory_queued_bytes',
    help: 'Bytes outside of the segments that wait for clients: encrypted by TLS, and documents',
  },
  memoryWaitingStarted: { name: 'orca_memory_waiting_started', help: 'Started responses waiting for memory' },
  memoryWaitingNew: { name: 'orca_memory_waiting_new', help: 'New requests waiting for memory' },
  catalogEntries: { name: 'orca_catalog_entries', help: 'Chunks known to be in the cachestore' },
  metadataEntries: { name: 'orca_metadata_entries', help: 'Objects and absences of objects in memory' },
  outboxCommits: { name: 'orca_outbox_commits', help: 'Commits in flight or waiting' },
  outboxBytes: { name: 'orca_outbox_bytes', help: 'Memory of commits in flight or waiting' },
  manifestsWaiting: { name: 'orca_manifests_waiting', help: 'Manifests waiting to be written' },
  listBytes: { name: 'orca_list_bytes', help: 'Estimated memory of the pages of lists' },
  fillsRunning: { name: 'orca_fills_running', help: 'Fills in progress' },
  peerStreams: { name: 'orca_peer_streams', help: 'Streams of chunks from other replicas' },
  peerStreamReaders: { name: 'orca_peer_stream_readers', help: 'Responses that read from these streams' },
  originSlots: { name: 'orca_origin_slots', help: 'Concurrent origin requests that this replica may have' },
  originRunning: { name: 'orca_origin_running', help: 'Origin requests in progress' },
  originQueued: { name: 'orca_origin_queued', help: 'Origin requests waiting for a slot' },
  prewarms: {
    name: 'orca_prewarms',
    help: 'Runs of prewarms that this replica walks, or has walked last and that the operator has not ended yet',
  },
  peers: { name: 'orca_peers', help: 'Replicas that own chunks, in the view of this replica' },
  peersEpoch: { name: 'orca_peers_epoch', help: 'Hash of the owners; replicas with different values disagree' },
  peersStaleSeconds: { name: 'orca_peers_stale_seconds', help: 'Time since the last valid list of peers' },
} satisfies Record<string, MetricSpec>;

/** All members of a union. */
function all<T extends string>(members: Readonly<Record<T, 0>>): readonly T[] {
  return Object.keys(members) as T[];
}
