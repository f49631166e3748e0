/** The room of a bounded cachestore in several replicas, on a fake clock and one fake store, without the rest of the engine. */
import { createHash } from 'node:crypto';
import { minuteOf } from '#cache/core/capacity/chunk-key.ts';
import { DEFAULT_CAPACITY, type CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { openCapacity, type Capacity } from '#cache/engine/capacity/capacity.ts';
import type { ChunkStore, PeerAddress, PeerSet } from '#cache/engine/ports.ts';
import { guardStore } from '#cache/engine/upstream/guarded.ts';
import { countingObserver, emptyCounts, peerSet, type Counts } from './engines.ts';
import { fakeChunkStore } from './fake-chunk-store.ts';
import { fakeClock } from './fake-clock.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const CHUNK_BYTES = 100;
const ORIGIN_ID = 'test';

export interface RoomReplica {
  readonly address: PeerAddress;
  capacity: Capacity;
  counts: Counts;
  view: PeerSet;
  /** Nothing reaches it, and it sends nothing. */
  isDead: boolean;
  /** What its last commit met. */
  isFull: boolean;
  /** By how much its date is wrong. */
  offsetMs: number;
  readonly evicted: string[];
  /** How often waiting commits were woken. */
  wakes: number;
  stop: AbortController;
}

export interface RoomsOptions {
  readonly replicas?: number;
  readonly settings?: Partial<CapacitySettings>;
  readonly staleIfErrorMs?: number;
  /** By how much the store's clock is ahead of the replicas' clocks. */
  readonly storeAheadMs?: number;
}

/** The 64 hex digits of version `number`. */
export function versionOf(number: number): string {
  return createHash('sha256').update(`version ${number}`).digest('hex');
}

export function pathOf(number: number, index = 0): ChunkPath {
  return `${ORIGIN_ID}/${versionOf(number)}/${index}` as ChunkPath;
}

export function capacityRooms(options: RoomsOptions = {}) {
  const clock = fakeClock();
  const store = fakeChunkStore({ clock: { date: () => clock.date() + (options.storeAheadMs ?? 0) } });
  const settings = { current: { ...DEFAULT_CAPACITY, minAgeMs: MINUTE_MS, ...options.settings } };
  const addresses = Array.from({ length: options.replicas ?? 1 }, (_, at) => `10.0.0.${at + 1}:8444` as PeerAddress);
  const replicas: RoomReplica[] = [];
  let random = 0;
  /** Wraps the store of all replicas. */
  const faults: { store: (port: ChunkStore, replica: RoomReplica) => ChunkStore } = { store: (port) => port };
  const reach = (from: RoomReplica, to: PeerAddress): RoomReplica => {
    const peer = replicas.find(({ address }) => address === to);
    if (peer === undefined || peer.isDead || from.isDead) throw new OrcaError('peer_unavailable', `${to} is dead`);
    return peer;
  };
  const start = (replica: RoomReplica): void => {
    const ownClock = { ...clock, date: () => clock.date() + replica.offsetMs };
    replica.stop = new AbortController();
    replica.counts = emptyCounts();
    replica.capacity = openCapacity({
      originId: ORIGIN_ID,
      chunking: { sizeBytes: CHUNK_BYTES, tiers: [] },
      store: guardStore(faults.store(store, replica), ownClock),
      peers: {
        current: () => replica.view,
        onChange: () => () => {},
        ready: async () => {},
        staleMs: () => 0,
        close: async () => {},
      },
      peerClient: {
        reads: async (to, report) => reach(replica, to).capacity.receiveReads(report),
        usage: async (to, report) => reach(replica, to).capacity.receiveUsage(report),
      },
      clock: ownClock,
      observer: countingObserver(replica.counts),
      // The golden ratio's multiples are evenly distributed.
      random: () => (random = (random + 0.618_034) % 1),
      settings: () => settings.current,
      staleIfErrorMs: options.staleIfErrorMs ?? HOUR_MS,
      mayDelete: () => !replica.isDead,
      isFull: () => replica.isFull,
      onRoom: () => replica.wakes++,
      onEvicted: (path) => replica.evicted.push(path),
    });
    replica.capacity.run(replica.stop.signal).catch((error: unknown) => replica.counts.warnings.push(String(error)));
  };
  for (const address of addresses) {
    const replica = {
      address,
      view: peerSet(address, addresses),
      isDead: false,
      isFull: false,
      offsetMs: 0,
      evicted: [],
      wakes: 0,
    } as unknown as RoomReplica;
    replicas.push(replica);
  }
  let turn = 0;
  return {
    clock,
    store,
    settings,
    replicas,
    faults,
    /** After `faults` is set up. */
    start: () => {
      for (const replica of replicas) start(replica);
    },
    /** A crash: nothing is flushed. A new process with the same address begins. */
    restart: (replica: RoomReplica) => {
      replica.stop.abort(new OrcaError('cancelled', 'crashed'));
      start(replica);
    },
    /** A chunk is stored, and read by a client of some replica. `isLost`: no replica reports it. */
    commit(number: number, { index = 0, isLost = false, bytes = CHUNK_BYTES } = {}): void {
      const path = pathOf(number, index);
      store.plant({ path }, new Uint8Array(bytes));
      if (isLost) return;
      const { capacity } = replicas[turn++ % replicas.length]!;
      capacity.committed(path, bytes);
      capacity.touch(path, 'bucket');
    },
    read(number: number, replica = replicas[turn++ % replicas.length]!): void {
      replica.capacity.touch(pathOf(number), 'bucket');
    },
    setOwners(owners: readonly RoomReplica[]): void {
      const list = owners.map(({ address }) => address);
      for (const replica of replicas) replica.view = peerSet(replica.address, list);
    },
    has: (number: number) => store.paths().includes(pathOf(number)),
    usedBytes: () => store.paths().reduce((sum, path) => sum + (store.body(path)?.length ?? 0), 0),
    evictedBytes: (reason: string) => replicas.reduce((sum, { counts }) => sum + (counts.evictedBytes[reason] ?? 0), 0),
    nowMinute: () => minuteOf(clock.date()),
    async close(): Promise<void> {
      for (const { stop } of replicas) stop?.abort(new OrcaError('cancelled', 'the test ends'));
      await clock.advance(1);
    },
  };
}

export type Rooms = ReturnType<typeof capacityRooms>;
