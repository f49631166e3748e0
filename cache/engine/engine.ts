/** Puts the engine's parts together; the two things it does are `read` and `serveFill`. */
import type { ChunkTier } from '#cache/core/chunk.ts';
import type { ListPage, ListQuery } from '#cache/core/s3/listing.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';
import { explain } from './explain.ts';
import type { FillContext } from '#cache/engine/fill/fill.ts';
import { Flights } from '#cache/engine/fill/flights.ts';
import { GhostList } from '#cache/engine/memory/ghost-list.ts';
import { guardOrigin, guardStore, type GuardedOrigin, type GuardedStore } from '#cache/engine/upstream/guarded.ts';
import { Inbound } from '#cache/engine/streams/peer-streams.ts';
import { OriginLimiter } from '#cache/engine/upstream/origin-limiter.ts';
import { Listings, underPrefix, withoutPrefix } from '#cache/engine/metadata/listings.ts';
import { Loads } from '#cache/engine/streams/store-loads.ts';
import { Manifests } from '#cache/engine/metadata/manifests.ts';
import { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { Metadata } from '#cache/engine/metadata/metadata.ts';
import { callOrigin } from '#cache/engine/upstream/origin-call.ts';
import { OriginIdentity } from '#cache/engine/upstream/origin-identity.ts';
import { Outbox } from '#cache/engine/fill/outbox.ts';
import { Owners } from '#cache/engine/metadata/bucket-owners.ts';
import { Parts } from '#cache/engine/metadata/multipart-parts.ts';
import type { ChunkStore, Clock, Observer, Origin, PeerClient, PeerView } from './ports.ts';
import {
  admit,
  read,
  ruleOf,
  underRule,
  type BucketRule,
  type ReadContext,
  type ReadRequest,
  type ReadResult,
} from './read.ts';
import { Repairs } from '#cache/engine/fill/repairs.ts';
import type { RetrySettings } from '#cache/engine/upstream/retry.ts';
import { serveFill, type FillCall, type FillReply } from './serve-fill.ts';
import { SparseReads } from '#cache/engine/sparse/reads.ts';
import { SparseTable } from '#cache/engine/fill/block-table.ts';

/** To a HEAD's answer, of each attempt. */
const HEAD_TIMEOUT_MS = 2_000;
/** A client whose socket takes nothing for so long has gone without a word. */
const STALL_LIMIT_MS = 300_000;
/** While the cachestore is away its chunk can be had from memory or the origin only, and others need both. */
const STALL_LIMIT_WITHOUT_STORE_MS = 30_000;

/** Plain values; the configuration has this shape too. */
export interface EngineSettings {
  readonly origin: {
    readonly id: string;
    readonly buckets: readonly BucketRule[];
    readonly queueTimeoutMs: number;
    /** What tells this origin from another under the same id; undefined = nobody else uses this cachestore. */
    readonly fingerprint?: string;
    readonly retry: RetrySettings;
  };
  readonly cacheStore: { readonly verifyRanges: boolean };
  readonly chunking: { readonly sizeBytes: number; readonly tiers: readonly ChunkTier[] };
  readonly metadata: { readonly negativeTtlMs: number; readonly staleIfErrorMs: number; readonly maxEntries: number };
  readonly catalog: { readonly maxEntries: number };
  readonly memory: { readonly budgetBytes: number };
  /** How long a page of a list is good for; 0 = it is not kept. */
  readonly edge: { readonly listTtlMs: number };
}

export interface EngineOptions {
  readonly settings: EngineSettings;
  readonly origin: Origin;
  readonly store: ChunkStore;
  readonly peers: PeerView;
  readonly peerClient: PeerClient;
  readonly observer: Observer;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** These two may change while running. */
  readonly targetGlobal: () => number;
  readonly readahead: () => number;
  /** For tests: overwrites memory as it is given back. */
  readonly poisonMemory?: boolean;
}

export interface Engine {
  read(request: ReadRequest): Promise<ReadResult>;
  /** A page of a client's bucket, as its clients name things. */
  list(bucket: string, query: ListQuery, signal: AbortSignal): Promise<ListPage>;
  /** Rejects unless the client's bucket, at the origin, is whose it is expected to be. */
  checkOwner(name: Pick<ReadRequest, 'bucket' | 'key'>, owner: string, signal: AbortSignal): Promise<void>;
  serveFill(call: FillCall): Promise<FillReply>;
  /** Forgets, on all replicas, what is known of a client's object; its chunks stay: they are of one version. */
  purge(name: Pick<ReadRequest, 'bucket' | 'key'>): void;
  /** Which chunks an answer is made of and who coordinates them. */
  explain(result: ReadResult): string;
  /** What goes on in the background, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** So long a response is kept whose socket takes no byte. */
  stallLimitMs(): number;
  /** Resolves when no fill and no sparse read runs any more. */
  idle(): Promise<void>;
  /** Commits what still waits for the cachestore, until the signal aborts. */
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
  readonly sparseTable: SparseTable;
  readonly loads: Loads;
  readonly inbound: Inbound;
  readonly limiter: OriginLimiter;
  readonly metadata: Metadata;
  readonly manifests: Manifests;
}

export function openEngine(options: EngineOptions): Engine {
  const { settings, clock } = options;
  const memory = new ChunkMemory({
    budgetBytes: settings.memory.budgetBytes,
    clock,
    poison: options.poisonMemory ?? false,
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
    budgetBytes: settings.memory.budgetBytes,
    mayCommit: () => identity.state === 'ours',
  });
  const identity = new OriginIdentity({
    ...options,
    store,
    originId: settings.origin.id,
    fingerprint: settings.origin.fingerprint,
    onOurs: () => outbox.wake(),
  });
  const served = <T>(call: () => Promise<T>): Promise<T> => {
    const refusal = identity.refusal();
    return refusal === undefined ? call() : Promise.reject(refusal);
  };
  const fillContext: FillContext = {
    ...options,
    origin,
    store,
    outbox,
    repairs: new Repairs(clock),
    sparseTable: new SparseTable(memoryTier),
    memory,
    memoryTier,
    catalog,
    limiter,
    retry: settings.origin.retry,
  };
  const flights = new Flights(fillContext);
  const loads = new Loads(fillContext);
  const inbound = new Inbound({ ...options, store, memory, catalog });
  const manifests = new Manifests({
    store,
    clock,
    observer: options.observer,
    maxEntries: settings.metadata.maxEntries,
  });
  const metadata = new Metadata({
    ...options,
    ...settings.metadata,
    originHead: (bucket, key) =>
      callOrigin(fillContext, { operation: 'head', bucket, firstByteTimeoutMs: HEAD_TIMEOUT_MS }, (call) =>
        origin.head(bucket, key, call),
      ),
    manifests,
  });
  const sparse = new SparseReads({
    context: fillContext,
    flights,
    onChanged: (object) => metadata.invalidate(object, object.etag),
  });
  const owners = new Owners(fillContext);
  const listings = new Listings({ ...fillContext, ttlMs: settings.edge.listTtlMs });
  const context: ReadContext = {
    ...fillContext,
    flights,
    sparse,
    ghosts: new GhostList(),
    loads,
    inbound,
    peers: options.peers,
    verifyRanges: settings.cacheStore.verifyRanges,
    metadata,
    parts: new Parts(fillContext),
    originId: settings.origin.id,
    buckets: new Map(settings.origin.buckets.map((rule) => [rule.name, rule])),
    chunking: settings.chunking,
    readahead: options.readahead,
  };
  return {
    read: (request) => served(() => read(context, request)),
    list: (bucket, query, signal) =>
      served(async () => {
        const rule = ruleOf(context, bucket);
        const { originBucket, prefix } = rule;
        underRule(rule, query.prefix);
        return withoutPrefix(prefix, await listings.list(originBucket, underPrefix(prefix, query), signal));
      }),
    checkOwner: (name, owner, signal) =>
      served(async () => {
        const { originBucket } = ruleOf(context, name.bucket);
        const key = name.key === '' ? '' : admit(context, name).object.key;
        await owners.check(originBucket, key, owner, signal);
      }),
    serveFill: (call) => served(() => serveFill(context, call)),
    purge: (name) => metadata.purge(admit(context, name).object),
    explain: (result) => explain(result, options.peers),
    run: async (signal) => {
      await Promise.all([outbox.run(signal), identity.run(signal)]);
    },
    identity,
    stallLimitMs: () => (store.breaker.state === 'closed' ? STALL_LIMIT_MS : STALL_LIMIT_WITHOUT_STORE_MS),
    async idle() {
      // A sparse read may have begun a fill.
      do await Promise.all([flights.idle(), sparse.idle()]);
      while (flights.count + sparse.running > 0);
    },
    flush: (signal) => outbox.flush(signal),
    origin,
    store,
    outbox,
    memory,
    memoryTier,
    catalog,
    flights,
    sparse,
    sparseTable: fillContext.sparseTable,
    loads,
    inbound,
    limiter,
    metadata,
    manifests,
  };
}
