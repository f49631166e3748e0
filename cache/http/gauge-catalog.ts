/** The gauges of a cache pod, as `metric-catalog.ts` has the other metrics. */
import { ACCOUNT_STATES } from '#cache/core/capacity/store-account.ts';
import { CONDITIONAL_WRITE_SUPPORT } from '#cache/core/store-verdict.ts';
import { OPEN, type MetricSpec } from './metric-catalog.ts';

export interface GaugeSpec extends MetricSpec {
  /**
   * The value of a replica with several workers. `first`: all report the same, such as figures of the whole cachestore;
   * the first one that knows it counts.
   */
  readonly aggregator: 'sum' | 'max' | 'min' | 'first';
}

export const GAUGES = {
  breakerOpen: {
    name: 'orca_breaker_open',
    help: '1 while a circuit breaker is open',
    labels: { name: OPEN },
    aggregator: 'max',
  },
  conditionalWrites: {
    name: 'orca_store_conditional_writes',
    help: '1 for what is known about the conditional writes of the cachestore',
    labels: { support: ['unknown', ...CONDITIONAL_WRITE_SUPPORT] },
    aggregator: 'first',
  },
  storeState: {
    name: 'orca_store_state',
    help: '1 for the state of the cachestore: whether it is counted, evicted from, or short of space',
    labels: { state: ACCOUNT_STATES },
    aggregator: 'first',
  },
  storeUsedBytes: {
    name: 'orca_store_used_bytes',
    help: 'Size of the chunks of this cache in the cachestore',
    aggregator: 'first',
  },
  storeCapacityBytes: { name: 'orca_store_capacity_bytes', help: 'Limit of the used bytes', aggregator: 'first' },
  storePinnedBytes: {
    name: 'orca_store_pinned_bytes',
    help: 'Size of the chunks that are pinned',
    aggregator: 'first',
  },
  storeForeignBytes: {
    name: 'orca_store_foreign_bytes',
    help: 'Size of what other caches have in the cachestore',
    aggregator: 'first',
  },
  storeChunks: { name: 'orca_store_chunks', help: 'Chunks of this cache in the cachestore', aggregator: 'first' },
  storeCutoffAgeSeconds: {
    name: 'orca_store_cutoff_age_seconds',
    help: 'Chunks that were not read for longer are evicted now',
    aggregator: 'first',
  },
  sweepAgeSeconds: {
    name: 'orca_sweep_age_seconds',
    help: 'Time since the oldest sweep of a shard of this replica',
    aggregator: 'max',
  },
  sweepIntervalSeconds: {
    name: 'orca_sweep_interval_seconds',
    help: 'Interval in which each shard is swept',
    aggregator: 'first',
  },
  storeVersioned: {
    name: 'orca_store_versioned',
    help: '1 if the bucket of the cachestore keeps old versions',
    aggregator: 'max',
  },
  storeHungOperations: {
    name: 'orca_store_hung_operations',
    help: 'File operations of the cachestore that have not returned within their limit',
    aggregator: 'sum',
  },
  storeHungBytes: {
    name: 'orca_store_hung_bytes',
    help: 'Memory that hung file operations hold until they return',
    aggregator: 'sum',
  },
  originBytesSaved: {
    name: 'orca_origin_bytes_saved_total',
    help: 'Bytes sent to clients minus bytes received from the origin, since the start',
    labels: { bucket: OPEN },
    aggregator: 'sum',
  },
  savedDollars: {
    name: 'orca_saved_dollars_total',
    help: 'What clients would have cost at the origin minus what the cache cost there, since the start',
    labels: { bucket: OPEN },
    aggregator: 'sum',
  },
  originPriceDollars: {
    name: 'orca_origin_price_dollars',
    help: 'Prices of the origin, as configured',
    labels: { unit: ['gigabyte', '1000_requests'] },
    aggregator: 'first',
  },
  crc32Accelerated: {
    name: 'orca_crc32_accelerated',
    help: '1 if CRC-32 is computed with vector instructions',
    aggregator: 'min',
  },
  memoryBudgetBytes: { name: 'orca_memory_budget_bytes', help: 'Limit of all chunk bytes', aggregator: 'sum' },
  memoryWindowBytes: { name: 'orca_memory_window_bytes', help: 'Memory of streaming windows', aggregator: 'sum' },
  memoryFillBytes: { name: 'orca_memory_fill_bytes', help: 'Memory of fills and the memory tier', aggregator: 'sum' },
  memoryTierBytes: {
    name: 'orca_memory_tier_bytes',
    help: 'Memory of chunks kept after their commit',
    aggregator: 'sum',
  },
  memoryQueuedBytes: {
    name: 'orca_memory_queued_bytes',
    help: 'Bytes outside of the segments that wait for clients: encrypted by TLS, and documents',
    aggregator: 'sum',
  },
  memoryWaitingStarted: {
    name: 'orca_memory_waiting_started',
    help: 'Started responses waiting for memory',
    aggregator: 'sum',
  },
  memoryWaitingNew: { name: 'orca_memory_waiting_new', help: 'New requests waiting for memory', aggregator: 'sum' },
  catalogEntries: { name: 'orca_catalog_entries', help: 'Chunks known to be in the cachestore', aggregator: 'sum' },
  metadataEntries: {
    name: 'orca_metadata_entries',
    help: 'Objects and absences of objects in memory',
    aggregator: 'sum',
  },
  outboxCommits: { name: 'orca_outbox_commits', help: 'Commits in flight or waiting', aggregator: 'sum' },
  outboxBytes: { name: 'orca_outbox_bytes', help: 'Memory of commits in flight or waiting', aggregator: 'sum' },
  manifestsWaiting: { name: 'orca_manifests_waiting', help: 'Manifests waiting to be written', aggregator: 'sum' },
  listBytes: { name: 'orca_list_bytes', help: 'Estimated memory of the pages of lists', aggregator: 'sum' },
  fillsRunning: { name: 'orca_fills_running', help: 'Fills in progress', aggregator: 'sum' },
  peerStreams: { name: 'orca_peer_streams', help: 'Streams of chunks from other replicas', aggregator: 'sum' },
  peerStreamReaders: {
    name: 'orca_peer_stream_readers',
    help: 'Responses that read from these streams',
    aggregator: 'sum',
  },
  originSlots: {
    name: 'orca_origin_slots',
    help: 'Concurrent origin requests that this replica may have',
    aggregator: 'sum',
  },
  originRunning: { name: 'orca_origin_running', help: 'Origin requests in progress', aggregator: 'sum' },
  originQueued: { name: 'orca_origin_queued', help: 'Origin requests waiting for a slot', aggregator: 'sum' },
  prewarms: {
    name: 'orca_prewarms',
    help: 'Runs of prewarms that this replica walks, or has walked last and that the operator has not ended yet',
    aggregator: 'sum',
  },
  peers: { name: 'orca_peers', help: 'Replicas that own chunks, in the view of this replica', aggregator: 'first' },
  peersEpoch: {
    name: 'orca_peers_epoch',
    help: 'Hash of the owners; replicas with different values disagree',
    aggregator: 'first',
  },
  livenessThreadListening: {
    name: 'orca_liveness_thread_listening',
    help: '1 while the liveness thread responds to heartbeats of other replicas',
    aggregator: 'min',
  },
  peersStaleSeconds: {
    name: 'orca_peers_stale_seconds',
    help: 'Time since the last valid list of peers',
    aggregator: 'max',
  },
  workers: { name: 'orca_workers', help: 'Processes of this replica that serve clients', aggregator: 'sum' },
} satisfies Record<string, GaugeSpec>;
