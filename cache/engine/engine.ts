/** Wires the engine's parts. Its two entry points are `read` (for clients) and `serveFill` (for peers). */
import { BlockTable } from '#cache/engine/fill/block-table.ts';
import { CommitTurns } from '#cache/engine/fill/commit-turns.ts';
import type { FillContext } from '#cache/engine/fill/fill.ts';
import { Flights } from '#cache/engine/fill/flights.ts';
import { Outbox } from '#cache/engine/fill/outbox.ts';
import { Repairs } from '#cache/engine/fill/repairs.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { GhostList } from '#cache/engine/memory/ghost-list.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { BucketChecks } from '#cache/engine/metadata/bucket-checks.ts';
import { BucketOwners } from '#cache/engine/metadata/bucket-owners.ts';
import { Listings } from '#cache/engine/metadata/listings.ts';
import { Manifests } from '#cache/engine/metadata/manifests.ts';
import { Metadata } from '#cache/engine/metadata/metadata.ts';
import { MultipartParts } from '#cache/engine/metadata/multipart-parts.ts';
import { StoredLists } from '#cache/engine/metadata/stored-lists.ts';
import { SubResources } from '#cache/engine/metadata/sub-resources.ts';
import { VersionListings } from '#cache/engine/metadata/version-listings.ts';
import { SparseReads } from '#cache/engine/sparse/reads.ts';
import { Sequences } from '#cache/engine/sparse/sequences.ts';
import { CommitWatch } from '#cache/engine/streams/commit-watch.ts';
import { PeerStreams } from '#cache/engine/streams/peer-streams.ts';
import { StoreLoads } from '#cache/engine/streams/store-loads.ts';
import { StoreLookups } from '#cache/engine/streams/store-lookups.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { guardOrigin, guardStore, type GuardedOrigin, type GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { callOrigin } from '#cache/engine/upstream/origin-call.ts';
import { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { BucketNames } from '#cache/engine/buckets/bucket-names.ts';
import { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import { openCalls, type EngineCalls } from './calls.ts';
import { openCapacity, type Capacity } from './capacity/capacity.ts';
import { coordinatorsOf, explain, type ChunkCoordinators } from './explain.ts';
import type { EngineOptions } from './options.ts';
import type { ReadContext, ReadResult } from './read.ts';
import { Admission } from './warm/admission.ts';
import { openWarm, type WarmCalls } from './warm/warm.ts';

/** The share of memory for blocks of sparse reads: as much as commits that wait have. */
const SPARSE_SHARE = 1 / 4;
/** A client whose socket takes no bytes for this long has disappeared without closing its connection. */
const STALL_LIMIT_MS = 300_000;
/** While the cachestore is down a chunk comes from memory or the origin only, and other clients need both. */
const STALL_LIMIT_WITHOUT_STORE_MS = 30_000;

export interface Engine extends EngineCalls {
  /** Which chunks an answer is made of, and which replica coordinates each. */
  explain(result: ReadResult): string;
  coordinators(result: ReadResult): ChunkCoordinators;
  /** Background work, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** How long a response may make no progress before it is closed, in ms. */
  stallLimitMs(): number;
  /** Resolves when no fill and no sparse read is running. */
  idle(): Promise<void>;
  /** Commits the chunks that wait for the cachestore, until the signal aborts. */
  flush(signal: AbortSignal): Promise<void>;
  readonly origin: GuardedOrigin;
  readonly store: GuardedStore;
  readonly identity: OriginIdentity;
  readonly outbox: Outbox;
  readonly memory: ChunkMemory;
  readonly memoryTier: MemoryTier;
  readonly catalog: Catalog;
  readonly flights: Flights;
  readonly sparse: SparseReads;
  readonly blockTable: BlockTable;
  readonly storeLoads: StoreLoads;
  readonly peerStreams: PeerStreams;
  readonly limiter: OriginLimiter;
  readonly metadata: Metadata;
  readonly manifests: Manifests;
  readonly listings: Listings;
  readonly capacity: Capacity;
  readonly warm: WarmCalls;
}

/** The parts that talk to the origin and the cachestore, and the memory they share. */
function openUpstream(options: EngineOptions) {
  const { settings, clock } = options;
  const { budgetBytes } = settings.memory;
  const memory = new ChunkMemory({
    budgetBytes,
    clock,
    poison: options.poisonMemory ?? false,
    isShared: options.store.sharesMemory === true,
  });
  const memoryTier = new MemoryTier();
  memory.onPressure(memoryTier);
  memoryTier.onEvictable(() => memory.reconsider());
  const catalog = new Catalog(settings.catalog.maxEntries);
  const limiter = new OriginLimiter({
    targetGlobal: options.targetGlobal,
    replicas: () => options.peers.current().owners.length,
    queueTimeoutMs: settings.origin.queueTimeoutMs,
    clock,
  });
  const origin = guardOrigin(options.origin, clock);
  const store = guardStore(options.store, clock);
  const outbox = new Outbox({
    ...options,
    store,
    catalog,
    memoryTier,
    budgetBytes,
    mayCommit: () => identity.state === 'ours',
    onCommitted: ({ path, lengthBytes }) => capacity.committed(path, lengthBytes),
    onFull: () => capacity.full(),
  });
  const capacity = openCapacity({
    ...options,
    originId: settings.origin.id,
    store,
    chunking: settings.chunking,
    settings: options.capacity,
    staleIfErrorMs: settings.metadata.staleIfErrorMs,
    mayDelete: () => identity.state === 'ours',
    isFull: () => outbox.isFull,
    onRoom: () => outbox.wake(),
    onEvicted: (path) => catalog.forget(path),
  });
  const identity = new OriginIdentity({
    ...options,
    store,
    originId: settings.origin.id,
    fingerprint: settings.origin.fingerprint,
    onOurs: () => outbox.wake(),
  });
  return { memory, memoryTier, catalog, limiter, origin, store, outbox, identity, capacity };
}

/** The parts that answer questions about objects: heads, manifests, multipart parts, lists, bucket owners. */
function openMetadata(options: EngineOptions, context: FillContext, capacity: Capacity) {
  const { settings, clock, observer } = options;
  const { store, origin } = context;
  const manifests = new Manifests({ store, clock, observer, maxEntries: settings.metadata.maxEntries });
  const metadata = new Metadata({
    ...options,
    ...settings.metadata,
    originHead: ({ bucket, key, versionId }) =>
      callOrigin(context, { operation: 'head', bucket }, (call) => origin.head(bucket, key, call, versionId)),
    manifests,
    onSuperseded: (version) => capacity.superseded(version),
  });
  const owners = new BucketOwners(context);
  const bucketChecks = new BucketChecks({ ...context, negativeTtlMs: settings.metadata.negativeTtlMs });
  const parts = new MultipartParts(context);
  const storedLists = new StoredLists({ store, clock, observer, originId: settings.origin.id });
  const { staleIfErrorMs } = settings.metadata;
  const listings = new Listings({ ...context, ttlMs: settings.edge.listTtlMs, staleIfErrorMs, stored: storedLists });
  const versionListings = new VersionListings(context);
  const bucketNames = new BucketNames(context);
  const subResources = new SubResources({ ...context, ttlMs: settings.edge.listTtlMs });
  return {
    manifests,
    metadata,
    owners,
    bucketChecks,
    parts,
    listings,
    storedLists,
    versionListings,
    bucketNames,
    subResources,
  };
}

export function openEngine(options: EngineOptions): Engine {
  const { settings, clock } = options;
  const upstream = openUpstream(options);
  const { memory, memoryTier, catalog, store, outbox, identity, capacity } = upstream;
  const blockTable = new BlockTable(memoryTier, { maxBytes: settings.memory.budgetBytes * SPARSE_SHARE });
  const fillContext: FillContext = {
    ...options,
    ...upstream,
    repairs: new Repairs(clock),
    storeLookups: new StoreLookups(),
    commitTurns: new CommitTurns(memory, clock),
    blockTable,
    retry: settings.origin.retry,
  };
  const flights = new Flights(fillContext);
  const storeLoads = new StoreLoads(fillContext);
  const commits = new CommitWatch({ ...options, store, catalog });
  const peerStreams = new PeerStreams({ ...options, memory, commits });
  const answers = openMetadata(options, fillContext, capacity);
  const { manifests, metadata, parts, listings, storedLists } = answers;
  const sparse = new SparseReads({
    context: fillContext,
    flights,
    onChanged: (object) => metadata.invalidate(object, object.etag),
  });
  const context: ReadContext = {
    ...fillContext,
    flights,
    sparse,
    sequences: new Sequences(),
    ghosts: new GhostList(),
    heldByPeers: new GhostList(),
    storeLoads,
    peerStreams,
    commits,
    peers: options.peers,
    verifyRanges: settings.cacheStore.verifyRanges,
    metadata,
    parts,
    originId: settings.origin.id,
    buckets: new BucketTable(settings.origin.buckets),
    chunking: settings.chunking,
    readahead: options.readahead,
    capacity,
  };
  const admission = new Admission({ flights, outbox, clock });
  const warm = openWarm({ ...options, ...context, store, admission, refusal: () => identity.refusal() });
  return {
    ...openCalls(context, { identity, ...answers }),
    explain: (result) => explain(result, options.peers),
    coordinators: (result) => coordinatorsOf(result, options.peers),
    ...openBackground({ outbox, identity, storedLists, flights, sparse, capacity }),
    stallLimitMs: () => (store.breaker.state === 'closed' ? STALL_LIMIT_MS : STALL_LIMIT_WITHOUT_STORE_MS),
    ...upstream,
    flights,
    sparse,
    blockTable,
    storeLoads,
    peerStreams,
    metadata,
    manifests,
    listings,
    warm,
  };
}

/** Work that no request waits for. */
function openBackground({
  outbox,
  identity,
  storedLists,
  flights,
  sparse,
  capacity,
}: {
  readonly outbox: Outbox;
  readonly identity: OriginIdentity;
  readonly storedLists: StoredLists;
  readonly flights: Flights;
  readonly sparse: SparseReads;
  readonly capacity: Capacity;
}): Pick<Engine, 'run' | 'idle' | 'flush'> {
  return {
    async run(signal) {
      signal.addEventListener('abort', () => storedLists.close(), { once: true });
      await Promise.all([outbox.run(signal), identity.run(signal), capacity.run(signal)]);
    },
    async idle() {
      // A sparse read may have started a fill.
      do await Promise.all([flights.idle(), sparse.idle()]);
      while (flights.count + sparse.running > 0);
    },
    async flush(signal) {
      await outbox.flush(signal);
      // The commits are part of the last report.
      await capacity.flush(signal);
    },
  };
}
