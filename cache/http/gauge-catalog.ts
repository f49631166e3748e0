/** The gauges of a cache pod, as `metric-catalog.ts` has the other metrics. */
import { ACCOUNT_STATES } from '#cache/core/capacity/store-account.ts';
import { CONDITIONAL_WRITE_SUPPORT } from '#cache/core/store-verdict.ts';
import { OPEN, type MetricSpec } from './metric-catalog.ts';

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
