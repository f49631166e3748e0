/**
 * Replicas: an address that successive processes use, which is that of a worker of a pod. A process is a real engine with its ports, its clock and its view of
 * the cluster. When it dies, its events are dropped, and the next process starts with no state.
 */
import type { ChunkPath, chunkFields } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Config } from '#cache/config/config.ts';
import { workerConfig } from '#cache/config/workers.ts';
import type { CapacitySettings } from '#cache/core/capacity/settings.ts';
import { openEngine, type Engine } from '#cache/engine/engine.ts';
import type { EngineSettings } from '#cache/engine/options.ts';
import type { Flight } from '#cache/engine/fill/flight.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { Clock, Observer, PeerAddress, PeerSet, PeerView } from '#cache/engine/ports.ts';
import type { SendOptions } from '#cache/http/listener/send-body.ts';
import { unknownUnacked } from '#cache/http/listener/send-queues.ts';
import type { CapacityOracle } from './capacity-oracle.ts';
import type { Connection } from './connection.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import type { SimOrigin } from './origin.ts';
import type { SimStore } from './store.ts';
import type { SimPeers } from './peers.ts';
import type { CapacityPlan, Scenario } from './scenario.ts';
import type { Owner, World } from './world.ts';

/** The workers of one IP address, which come and go together. */
export interface Pod {
  readonly ip: string;
  readonly replicas: readonly Replica[];
  /** It runs a release without workers, which sees only the first one of other pods. */
  readonly isEarlier: boolean;
  /** As the EndpointSlices report it. */
  state: 'serving' | 'terminating' | 'removed';
  /** It drains, or has drained, and does not return. */
  isLeaving: boolean;
}

export interface Replica {
  readonly address: PeerAddress;
  readonly pod: Pod;
  readonly worker: number;
  /** Undefined between two processes. */
  process: Incarnation | undefined;
}

export interface Incarnation {
  readonly address: PeerAddress;
  readonly owner: Owner;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly timers: Set<object>;
  readonly connections: Set<Connection>;
  /** Fills that have sent an origin request, until they have left the table. */
  readonly flights: Map<ChunkPath, { readonly flight: Flight }>;
  /** The fills with a request at the origin, once for each request. */
  readonly reading: Flight[];
  /** Chunks that were filled, but were not in the cachestore at the last check. */
  readonly waiting: Set<ChunkPath>;
  readonly fills: Record<string, number>;
  readonly warnings: string[];
  /** When it last found each chunk to be corrupt in the cachestore. */
  readonly foundBad: Map<string, number>;
  /** Since the last check: chunks that the cachestore reported as missing. */
  readonly toldMissing: ChunkPath[];
  view: PeerSet;
  offsetMs: number;
  deliveredBytes: number;
  observedBytes: number;
  /** Since when tasks in the background keep slots at the origin that others wait for. */
  crowdedMs: number | undefined;
  /** Requests of clients and peers that are in progress. */
  serving: number;
  /** Fills since the last check that fetched bytes and did not end in a commit. */
  lostFills: string[];
  readonly stop: AbortController;
  setView(view: PeerSet): void;
}

export interface ReplicaParts {
  readonly world: World;
  readonly scenario: Scenario;
  readonly origin: SimOrigin;
  readonly store: SimStore;
  readonly peers: SimPeers;
  readonly ledger: Ledger;
  readonly capacity: CapacityOracle;
  readonly random: Random;
}

export const BUCKET = 'models';
export const ORIGIN_BUCKET = 'far-models';
const BAD_CHUNK = 'cachestore: a stored chunk is corrupt and will be overwritten';
export const STALE_IF_ERROR_MS = 86_400_000;

/** A worker's settings are its share of those of its pod, as the configuration divides them. */
function settingsOf(scenario: Scenario, { pod, worker }: Replica): EngineSettings {
  const workers = pod.replicas.length;
  const whole = { workers, memory: { budgetBytes: podBudgetBytes(scenario, pod) }, listen: { peer: {} }, edge: {} };
  return {
    origin: {
      id: 'far',
      fingerprint: 's3 https://far.example',
      buckets: [
        { name: BUCKET, originBucket: ORIGIN_BUCKET, prefix: '', metadataTtlMs: scenario.ttlMs, immutable: false },
      ],
      queueTimeoutMs: 5_000,
      retry: { attempts: 3, backoffInitialMs: 100, backoffMaxMs: 2_000, maxTotalDurationMs: 5_000 },
    },
    cacheStore: { verifyRanges: scenario.verifyRanges },
    chunking: { sizeBytes: scenario.chunkBytes, tiers: scenario.tiers },
    metadata: {
      negativeTtlMs: scenario.negativeTtlMs,
      staleWhileRevalidateMs: scenario.staleWhileRevalidateMs,
      staleIfErrorMs: STALE_IF_ERROR_MS,
      maxEntries: 1_000,
    },
    catalog: { maxEntries: scenario.catalogEntries },
    memory: workerConfig(whole as Config, worker).memory,
    edge: { listTtlMs: 0 },
  };
}

/** The budget is that of a pod with one worker, for each of them. */
export function podBudgetBytes({ budgetBytes }: Scenario, { replicas }: Pod): number {
  return replicas.length * budgetBytes;
}

function capacityAt({ settings, change }: CapacityPlan, nowMs: number): CapacitySettings {
  return change === undefined || nowMs < change.atMs ? settings : { ...settings, capacityBytes: change.capacityBytes };
}

/** `number`: the serial number of the process in the run. */
export function startProcess(parts: ReplicaParts, number: number, replica: Replica, view: PeerSet): Incarnation {
  const { world, scenario } = parts;
  const { address } = replica;
  const owner: Owner = { name: `${address}#${number}`, state: 'running' };
  const random = parts.random.fork(owner.name);
  const timers = new Set<object>();
  const listeners = new Set<(peers: PeerSet) => void>();
  const clock = world.clockOf(owner, () => self.offsetMs, timers);
  const self: { -readonly [Key in keyof Incarnation]: Incarnation[Key] } = {
    address,
    owner,
    clock,
    timers,
    engine: undefined as unknown as Engine,
    connections: new Set(),
    flights: new Map(),
    reading: [],
    waiting: new Set(),
    fills: {},
    warnings: [],
    foundBad: new Map(),
    toldMissing: [],
    view,
    offsetMs: 0,
    deliveredBytes: 0,
    observedBytes: 0,
    crowdedMs: undefined,
    serving: 0,
    lostFills: [],
    stop: new AbortController(),
    setView(view) {
      self.view = view;
      for (const listener of listeners) listener(view);
    },
  };
  const peers: PeerView = {
    current: () => self.view,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ready: async () => {},
    staleMs: () => 0,
    close: async () => {},
  };
  self.engine = openEngine({
    settings: settingsOf(scenario, replica),
    origin: parts.origin.portFor(self),
    store: parts.store.portFor(self),
    peers,
    peerClient: parts.peers.clientFor(self),
    observer: observerOf(self, parts),
    clock,
    random: () => random.next(),
    targetGlobal: () => scenario.targetGlobal,
    readahead: () => scenario.readahead,
    capacity: scenario.capacity && (() => capacityAt(scenario.capacity!, world.nowMs)),
    poisonMemory: true,
  });
  self.engine.run(self.stop.signal).catch((error: unknown) => {
    if (!self.stop.signal.aborted) world.violate('bounded', `the background of ${owner.name} ended: ${String(error)}`);
  });
  return self;
}

/** Drops all further events of the process, and breaks its connections. */
export function kill(process: Incarnation, { ledger, peers }: ReplicaParts): void {
  process.owner.state = 'dead';
  for (const path of [...process.flights.keys(), ...process.waiting])
    ledger.excuse(path, 'replicas', `${process.owner.name} died before it was committed`);
  for (const connection of process.connections) connection.cut();
  process.connections.clear();
  peers.died(process);
}

/** How its responses are sent. */
export function sendingOf({ clock, engine }: Incarnation, pace: ReaderPace): SendOptions {
  return {
    clock,
    pace,
    stallLimitMs: () => engine.stallLimitMs(),
    unackedBytes: unknownUnacked,
    memory: engine.memory,
    onServed: () => {},
    onStall: () => {},
  };
}

/** Ends the process's loops, as a shutdown does. */
export function stopLoops(process: Incarnation): void {
  process.stop.abort(new OrcaError('cancelled', 'shutdown'));
}

function observerOf(self: Incarnation, { world, capacity }: ReplicaParts): Observer {
  return {
    originRequest: () => {},
    list: () => {},
    listWrite: () => {},
    originBytes: (lengthBytes) => {
      self.observedBytes += lengthBytes;
    },
    storeRequest: () => {},
    fill: (outcome) => {
      self.fills[outcome] = (self.fills[outcome] ?? 0) + 1;
      if (outcome !== 'committed' && outcome !== 'lost') self.lostFills.push(outcome);
      world.note('fill', `${self.owner.name} ${outcome}`);
    },
    committedBytes: () => {},
    sparseRead: (answer) => world.note('sparse', `${self.owner.name} ${answer}`),
    sparseBytes: () => {},
    evicted: (reason, lengthBytes, chunks) => {
      world.note('evicted', `${self.owner.name} ${reason} ${lengthBytes}`);
      capacity.counted(self, reason, lengthBytes, chunks);
    },
    refilled: () => {},
    sweep: (outcome) => capacity.swept(self, outcome),
    fallThrough: (source, reason) => world.note('fall', `${self.owner.name} ${source} ${reason}`),
    warn: (message, { chunk }) => {
      self.warnings.push(message);
      // These are messages of the engine. If they change, nothing is checked here, which a mutation detects.
      if (message === BAD_CHUNK) self.foundBad.set((chunk as ReturnType<typeof chunkFields>).path, world.nowMs);
      world.note('warn', `${self.owner.name} ${message}`);
    },
  };
}
