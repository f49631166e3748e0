/** N real engines in one process over one fake origin and one fake store; their peer RPC is a direct call. */
import { createHash } from 'node:crypto';
import { DEFAULT_CAPACITY, type CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { OrcaError } from '#cache/core/errors.ts';
import type { BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import { openEngine, type Engine } from '#cache/engine/engine.ts';
import type { EngineSettings } from '#cache/engine/options.ts';
import type { ChunkStore, Observer, Origin, PeerAddress, PeerSet, PeerView } from '#cache/engine/ports.ts';
import type { ReadRequest, ReadResult } from '#cache/engine/read.ts';
import { systemClock, type Clock } from '#shared/clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { directPeerClient } from './direct-peer-client.ts';
import { fakeChunkStore, type FakeChunkStore } from './fake-chunk-store.ts';
import { fakeOrigin, type FakeOrigin } from './fake-origin.ts';

export { patternBytes } from './chunks.ts';

export const MIB = 1024 * 1024;

export interface Counts {
  originRequests: Record<string, number>;
  originBytes: number;
  committedBytes: number;
  fills: Record<string, number>;
  fallThroughs: Record<string, number>;
  lists: Record<string, number>;
  listWrites: Record<string, number>;
  warnings: string[];
  sparseReads: Record<string, number>;
  sparseBytes: Record<string, number>;
  evictedBytes: Record<string, number>;
  refilledBytes: number;
  sweeps: Record<string, number>;
}

export interface Replica {
  readonly engine: Engine;
  readonly address: PeerAddress;
  readonly counts: Counts;
  /** This replica's view of the cluster; a test may make it differ from other replicas' views. */
  view: PeerSet;
  /** Fails its peers' requests, as a dead process would. */
  dead: boolean;
  fillCalls: number;
  /** Chunk bytes that other replicas have sent to this one. */
  peerBytes: number;
  /** How many of its streams stop after their first piece. */
  stalls: number;
  /** If set, every cachestore read of this replica fails with it. */
  storeError: OrcaError | undefined;
}

export interface Engines {
  readonly origin: FakeOrigin;
  readonly store: FakeChunkStore;
  readonly replicas: readonly Replica[];
  settings: EngineSettings;
}

export interface EnginesOptions {
  readonly replicas?: number;
  readonly budgetBytes?: number;
  /** One size per replica, or one for all. */
  readonly chunkBytes?: number | readonly number[];
  readonly tiers?: EngineSettings['chunking']['tiers'];
  readonly readahead?: number;
  /** Concurrent requests at the origin, of all replicas. */
  readonly targetGlobal?: number;
  readonly clock?: Clock;
  readonly verifyRanges?: boolean;
  readonly listTtlMs?: number;
  readonly capacity?: () => Partial<CapacitySettings>;
  /** Default: `models`, which is `far-models` at the origin. */
  readonly buckets?: readonly BucketRule[];
  /** The origin's fingerprint; without one its identity is not checked. */
  readonly fingerprint?: string;
  /** Wraps or replaces the origin that the engines read from. */
  readonly originSeen?: (origin: FakeOrigin) => Origin;
  /** A store that other engines have filled; default: a new one. */
  readonly store?: FakeChunkStore;
}

export function openEngines(options: EnginesOptions = {}): Engines {
  const clock = options.clock ?? systemClock;
  const origin = fakeOrigin();
  const store = options.store ?? fakeChunkStore({ clock });
  const { chunkBytes = MIB } = options;
  const settings: EngineSettings = {
    origin: {
      id: 'test',
      ...(options.fingerprint !== undefined && { fingerprint: options.fingerprint }),
      buckets: options.buckets ?? [
        { name: 'models', originBucket: 'far-models', prefix: '', metadataTtlMs: 300_000, immutable: false },
      ],
      queueTimeoutMs: 5_000,
      retry: { attempts: 3, backoffInitialMs: 1, backoffMaxMs: 2, maxTotalDurationMs: 5_000 },
    },
    cacheStore: { verifyRanges: options.verifyRanges ?? false },
    chunking: { sizeBytes: typeof chunkBytes === 'number' ? chunkBytes : MIB, tiers: options.tiers ?? [] },
    metadata: { negativeTtlMs: 60_000, staleWhileRevalidateMs: 30_000, staleIfErrorMs: 86_400_000, maxEntries: 1_000 },
    catalog: { maxEntries: 10_000 },
    memory: { budgetBytes: options.budgetBytes ?? 256 * MIB },
    edge: { listTtlMs: options.listTtlMs ?? 0 },
  };
  const storeOf = (replica: () => Replica): ChunkStore => ({
    ...store,
    read: (...args) => {
      const { storeError } = replica();
      return storeError === undefined ? store.read(...args) : Promise.reject(storeError);
    },
  });
  const addresses = Array.from({ length: options.replicas ?? 1 }, (_, i) => `10.0.0.${i + 1}:8444` as PeerAddress);
  const replicas: Replica[] = [];
  for (const [index, address] of addresses.entries()) {
    const counts = emptyCounts();
    const sizeBytes = typeof chunkBytes === 'number' ? chunkBytes : (chunkBytes[index] ?? MIB);
    const replica: Replica = {
      address,
      counts,
      view: peerSet(address, addresses),
      dead: false,
      fillCalls: 0,
      peerBytes: 0,
      stalls: 0,
      storeError: undefined,
      engine: openEngine({
        settings: { ...settings, chunking: { ...settings.chunking, sizeBytes } },
        origin: options.originSeen?.(origin) ?? origin,
        store: storeOf(() => replica),
        peers: viewOf(() => replica.view),
        peerClient: directPeerClient({
          clock,
          peerAt: (peer) => replicas.find((other) => other.address === peer && other !== replica),
          onBytes: (lengthBytes) => {
            replica.peerBytes += lengthBytes;
          },
        }),
        observer: countingObserver(counts),
        clock,
        random: Math.random,
        targetGlobal: () => options.targetGlobal ?? 192,
        readahead: () => options.readahead ?? 8,
        ...(options.capacity !== undefined && { capacity: () => ({ ...DEFAULT_CAPACITY, ...options.capacity?.() }) }),
        poisonMemory: true,
      }),
    };
    replicas.push(replica);
  }
  return { origin, store, replicas, settings };
}

/** New engines over the same origin and store, as after a restart of all replicas: nothing in memory, no chunk read before. */
export function reopenEngines({ origin, store }: Engines, options: EnginesOptions): Engines {
  return { ...openEngines({ ...options, store, originSeen: () => origin }), origin };
}

export function peerSet(self: PeerAddress, owners: readonly PeerAddress[]): PeerSet {
  const sorted = owners.toSorted();
  const epoch = createHash('sha256').update(sorted.join(',')).digest('hex').slice(0, 16);
  return { self, owners: sorted, terminating: [], epoch };
}

export function readRequest(key: string, more: Partial<ReadRequest> = {}): ReadRequest {
  return {
    bucket: 'models',
    key,
    range: undefined,
    conditions: {},
    headOnly: false,
    requestId: 'test',
    signal: new AbortController().signal,
    ...more,
  };
}

/** Advances a fake clock until the promise settles. */
export async function whileTimePasses<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  void promise.finally(done).catch(() => {});
  while (!settled) await clock.advance(250);
  return promise;
}

/** Reads the whole body; each piece is released after a turn of the event loop, as a socket would do. */
export async function readAll(engine: Engine, request: ReadRequest): Promise<{ result: ReadResult; bytes: Buffer }> {
  const result = await engine.read(request);
  return { result, bytes: await collect(result) };
}

export async function collect({ body, range }: ReadResult): Promise<Buffer> {
  let bytes: Buffer | undefined;
  let at = 0;
  for await (const piece of body) {
    bytes ??= Buffer.allocUnsafeSlow(range.to - range.from);
    if (at + piece.bytes.length > bytes.length) throw new Error(`the body exceeds its range of ${bytes.length} bytes`);
    bytes.set(piece.bytes, at);
    const copy = bytes.subarray(at, at + piece.bytes.length);
    await new Promise((resolve) => setImmediate(resolve));
    // Compared with the copy after the turn: memory that was reused meanwhile contains the poison pattern.
    if (!copy.equals(piece.bytes)) throw new Error('a piece changed before it was released');
    piece.release();
    at += copy.length;
  }
  return bytes?.subarray(0, at) ?? Buffer.alloc(0);
}

export function emptyCounts(): Counts {
  return {
    originRequests: {},
    originBytes: 0,
    committedBytes: 0,
    fills: {},
    fallThroughs: {},
    lists: {},
    listWrites: {},
    warnings: [],
    sparseReads: {},
    sparseBytes: {},
    evictedBytes: {},
    refilledBytes: 0,
    sweeps: {},
  };
}

export function countingObserver(counts: Counts): Observer {
  const add = (record: Record<string, number>, name: string) => {
    record[name] = (record[name] ?? 0) + 1;
  };
  return {
    originRequest: (operation) => add(counts.originRequests, operation),
    originBytes: (lengthBytes) => {
      counts.originBytes += lengthBytes;
    },
    storeRequest: () => {},
    fill: (outcome) => add(counts.fills, outcome),
    committedBytes: (lengthBytes) => {
      counts.committedBytes += lengthBytes;
    },
    sparseRead: (source) => add(counts.sparseReads, source),
    sparseBytes: (kind, lengthBytes) => {
      counts.sparseBytes[kind] = (counts.sparseBytes[kind] ?? 0) + lengthBytes;
    },
    list: (source) => add(counts.lists, source),
    listWrite: (outcome) => add(counts.listWrites, outcome),
    evicted: (reason, lengthBytes) => {
      counts.evictedBytes[reason] = (counts.evictedBytes[reason] ?? 0) + lengthBytes;
    },
    refilled: (lengthBytes) => {
      counts.refilledBytes += lengthBytes;
    },
    sweep: (outcome) => add(counts.sweeps, outcome),
    fallThrough: (source, reason) => add(counts.fallThroughs, `${source}/${reason}`),
    warn: (message) => counts.warnings.push(message),
  };
}

function viewOf(current: () => PeerSet): PeerView {
  return { current, onChange: () => () => {}, ready: async () => {}, staleMs: () => 0, close: async () => {} };
}
