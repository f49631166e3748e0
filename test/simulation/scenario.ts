/** The world of a seed: all sizes, the faults and their times, and the requests of clients. Pure. */
import { DEFAULT_CAPACITY, type CapacitySettings } from '#cache/core/capacity/settings.ts';
import type { ChunkTier } from '#cache/core/chunk.ts';
import { randomOf, type Random } from './random.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Each is enabled or disabled for a whole run, and occurs within its time windows. */
export const FAULTS = [
  'origin-errors',
  'origin-down',
  'origin-slow',
  'origin-flaps',
  'store-errors',
  'store-down',
  'store-slow',
  'store-full',
  'store-vanish',
  'store-flip',
  'store-truncate',
  'peer-errors',
  'partition',
  'freeze',
  'crash',
  'leave',
  'join',
  'skew',
  'clock-step',
  'overwrite',
  'remove',
  'cancel',
  'pressure',
] as const;
/** Only in runs with a bounded cachestore; drawn apart, so that other runs stay as they are. */
export const CAPACITY_FAULTS = ['list-errors', 'remove-errors', 'denied', 'report-errors', 'evictor-crash'] as const;
/** Only in runs with workers; drawn apart. */
export const WORKER_FAULTS = ['worker-crash', 'roll'] as const;
export type Fault = (typeof FAULTS)[number] | (typeof CAPACITY_FAULTS)[number] | (typeof WORKER_FAULTS)[number];

export interface FaultWindow {
  readonly fault: Fault;
  readonly fromMs: number;
  readonly toMs: number;
  /** The share of opportunities at which the fault occurs. */
  readonly probability: number;
  /** In [0, 1): selects the replica, the object or the variant. */
  readonly which: number;
  readonly way: number;
}

export interface Network {
  readonly latencyMs: number;
  readonly bytesPerMs: number;
}

export interface ClientPlan {
  readonly id: string;
  readonly atMs: number;
  /** In [0, 1): selects one of the replicas that serve at that time. */
  readonly replica: number;
  readonly key: string;
  readonly range: RangePlan | undefined;
  readonly condition: 'none' | 'if-match' | 'if-match-wrong' | 'if-none-match' | 'if-range' | 'if-range-wrong';
  readonly headOnly: boolean;
  readonly bytesPerMs: number;
  /** How long the client stops reading in the middle of its body. */
  readonly pauseMs: number;
  readonly cancel: { readonly afterMs: number } | { readonly afterBytes: number } | undefined;
}

/** Half-open; `from` undefined = a suffix of `to` bytes; `to` undefined = to the end. */
export interface RangePlan {
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** A bounded cachestore. */
export interface CapacityPlan {
  readonly settings: CapacitySettings;
  /** The capacity that is set later in the run. */
  readonly change: { readonly atMs: number; readonly capacityBytes: number } | undefined;
  /** The size of the store itself: a file system or a quota. Undefined = it takes everything. */
  readonly storeBytes: number | undefined;
  /** The store's clock is ahead by this much. */
  readonly clockOffsetMs: number;
  readonly pins: readonly PinPlan[];
  readonly overwrites: readonly { readonly atMs: number; readonly which: number }[];
}

/** A walker that brings objects into the cachestore. */
export interface PrewarmPlan {
  readonly atMs: number;
  /** In [0, 1): selects one of the replicas that serve at that time. */
  readonly replica: number;
  readonly keys: readonly string[];
  /** Chunks at once. */
  readonly parallelism: number;
  /** Then it is suspended. */
  readonly forMs: number;
}

export interface PodPlan {
  /** Processes, each a peer of its own. */
  readonly workers: number;
  /** The release before there were workers. */
  readonly isEarlier: boolean;
}

/** All pods are replaced, one after the other. */
export interface RollPlan {
  readonly atMs: number;
  readonly pods: PodPlan;
  readonly stepMs: number;
}

export interface PinPlan {
  readonly name: string;
  readonly keys: readonly string[];
  readonly atMs: number;
  /** In [0, 1): selects the replica that writes it. */
  readonly replica: number;
  /** Undefined = until it is removed. */
  readonly expiresMs: number | undefined;
  readonly removedMs: number | undefined;
}

export interface Scenario {
  readonly seed: number;
  readonly faults: ReadonlySet<Fault>;
  readonly windows: readonly FaultWindow[];
  /** No faults, and memory for all: every byte comes from the origin at most once, without exception. */
  readonly isCalm: boolean;
  /** Nothing fails; most clients leave early. */
  readonly isImpatient: boolean;
  readonly activeMs: number;
  /** Pods. */
  readonly replicas: number;
  readonly pods: PodPlan;
  readonly rolls: readonly RollPlan[];
  readonly chunkBytes: number;
  readonly tiers: readonly ChunkTier[];
  /** Each process has it. */
  readonly budgetBytes: number;
  /** How often other memory use evicts from the memory tier; undefined = never. */
  readonly evictEveryMs: number | undefined;
  readonly readahead: number;
  readonly verifyRanges: boolean;
  readonly ttlMs: number;
  readonly negativeTtlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly catalogEntries: number;
  readonly targetGlobal: number;
  readonly origin: Network;
  readonly store: Network;
  /** The cachestore is a filesystem: a read writes into its sink's memory until it ends, even after an abort. */
  readonly isFileStore: boolean;
  readonly peer: Network;
  readonly objects: readonly { readonly key: string; readonly sizeBytes: number }[];
  readonly clients: readonly ClientPlan[];
  readonly prewarms: readonly PrewarmPlan[];
  /** Undefined = the cachestore is neither counted nor limited. */
  readonly capacity: CapacityPlan | undefined;
}

/** A key without an object. */
export const MISSING_KEY = 'missing';
/** Roughly the sum of what all clients of a run read, which determines the duration of a seed. */
const READ_BYTES = 24 * MIB;
const CALM_SHARE = 0.25;
/** The origin fails permanently, while only some objects are stored. */
const OUTAGE_SHARE = 0.04;
/** Large chunks of which most clients read a small part: many requests, few bytes. */
const SPARSE_SHARE = 0.12;
/** Memory is scarce: most requests wait for it. */
const PRESSURE_SHARE = 0.3;
const FILE_STORE_SHARE = 0.3;
/** Every read queries the origin. */
const STRICT_SHARE = 0.08;
/** Nothing fails, but most clients leave before the end of their body. */
const IMPATIENT_SHARE = 0.06;
/** The cachestore is bounded, and the run is longer. */
const CAPACITY_SHARE = 1 / 8;
/** These seeds, of each eight, have prewarms; by number, so that others stay as they are. */
const PREWARMED = 7;
/** Likewise, pods with several workers. */
const WITH_WORKERS = 3;
/** With several workers: more of them are only slower. */
const MOST_PODS = 3;
const PREWARMED_SHARE = 0.2;
const WORKER_FAULT_SHARE = 0.5;
/** The last read of a chunk is known to the minute. */
const MINUTE_MS = 60_000;

export function scenarioOf(seed: number): Scenario {
  const random = randomOf(seed);
  const shape = random.fork('shape');
  const isOutage = random.fork('outage').chance(OUTAGE_SHARE);
  const isImpatient = !isOutage && random.fork('impatient').chance(IMPATIENT_SHARE);
  const isBounded = !isOutage && !isImpatient && random.fork('bounded').chance(CAPACITY_SHARE);
  const isMulti = seed % 8 === WITH_WORKERS;
  const chosen = isOutage
    ? new Set<Fault>(['origin-down'])
    : isImpatient
      ? chooseImpatience(random.fork('impatience'))
      : isBounded
        ? chooseFaults(random.fork('faults')).union(chooseCapacityFaults(random.fork('capacity-faults')))
        : chooseFaults(random.fork('faults'));
  const workerFaults = isMulti && !isOutage && !isImpatient ? chooseWorkerFaults(random.fork('worker-faults')) : [];
  const faults = chosen.union(new Set(workerFaults));
  const shortMs = Math.round(isOutage ? shape.magnitude(60_000, 120_000) : shape.magnitude(4_000, 90_000));
  const activeMs = isBounded ? shortMs + random.fork('length').int(MINUTE_MS, 4 * MINUTE_MS) : shortMs;
  const isSparse = random.fork('sparse').chance(SPARSE_SHARE);
  const { chunkBytes, tiers, largestChunkBytes } = isSparse ? chooseSparseChunks(shape) : chooseChunks(shape);
  // The configuration requires memory for four of the largest chunks.
  const leastBudgetBytes = Math.max(4 * roundUp(largestChunkBytes, MIB), 4 * MIB);
  const budgetBytes = faults.has('pressure')
    ? leastBudgetBytes + shape.pick([0, 0, 1, 4]) * MIB
    : Math.max(4 * leastBudgetBytes, 96 * MIB);
  const objects = chooseObjects(shape, chunkBytes, tiers);
  const freshness = chooseFreshness(random.fork('freshness'), isOutage);
  const count = shape.int(3, 6);
  return {
    seed,
    faults,
    windows: isOutage
      ? chooseOutage(random.fork('windows'), activeMs)
      : [
          ...chooseWindows(random.fork('windows'), chosen, activeMs),
          ...chooseWindows(random.fork('worker-windows'), new Set(workerFaults), activeMs),
        ],
    // What was evicted comes from the origin again.
    isCalm: faults.size === 0 && !isBounded,
    isImpatient,
    activeMs,
    replicas: isMulti ? Math.min(count, MOST_PODS) : count,
    ...(isMulti
      ? chooseWorkers(random.fork('workers'), faults.has('roll'), activeMs)
      : { pods: { workers: 1, isEarlier: false }, rolls: [] }),
    chunkBytes,
    tiers,
    budgetBytes,
    evictEveryMs: shape.chance(0.6) ? shape.magnitude(300, 20_000) : undefined,
    readahead: shape.pick([0, 1, 2, 4, 8]),
    verifyRanges: shape.chance(0.25),
    ttlMs: freshness.ttlMs ?? Math.round(isOutage ? shape.magnitude(1_000, 4_000) : shape.magnitude(2_000, 300_000)),
    negativeTtlMs: shape.int(1_000, 20_000),
    staleWhileRevalidateMs: freshness.staleWhileRevalidateMs,
    catalogEntries: shape.pick([4, 20, 10_000]),
    targetGlobal: isImpatient ? 192 : shape.pick([6, 24, 192]),
    origin: { latencyMs: shape.magnitude(5, 150), bytesPerMs: shape.magnitude(300, 100_000) },
    store: { latencyMs: shape.magnitude(0.5, 20), bytesPerMs: shape.magnitude(20_000, 500_000) },
    isFileStore: random.fork('file-store').chance(FILE_STORE_SHARE),
    peer: { latencyMs: shape.magnitude(0.1, 2), bytesPerMs: shape.magnitude(50_000, 1_000_000) },
    objects,
    clients: chooseClients(random.fork('clients'), faults, activeMs, objects, chunkBytes, { isSparse, isImpatient }),
    prewarms:
      seed % 8 === PREWARMED || (isMulti && random.fork('prewarmed').chance(PREWARMED_SHARE))
        ? choosePrewarms(random.fork('prewarms'), activeMs, objects)
        : [],
    capacity: isBounded
      ? withRoom(
          chooseCapacity(random.fork('capacity'), activeMs, objects, largestChunkBytes),
          objects,
          largestChunkBytes,
        )
      : undefined,
  };
}

function chooseWorkerFaults(random: Random): Fault[] {
  return WORKER_FAULTS.filter(() => random.chance(WORKER_FAULT_SHARE));
}

/** From one worker to several or back, and sometimes back again; a release without workers has one. */
function chooseWorkers(random: Random, isRolled: boolean, activeMs: number): Pick<Scenario, 'pods' | 'rolls'> {
  const several = random.pick([2, 2, 3]);
  if (!isRolled) return { pods: { workers: several, isEarlier: false }, rolls: [] };
  const one: PodPlan = { workers: 1, isEarlier: random.chance(0.5) };
  const many: PodPlan = { workers: several, isEarlier: false };
  const [from, to] = random.pick([
    [one, many],
    [one, many],
    [many, one],
    [many, { ...many, workers: 5 - several }],
  ] as const);
  const roll = (atMs: number, pods: PodPlan): RollPlan => ({ atMs, pods, stepMs: random.int(1_000, 8_000) });
  const first = roll(random.int(0, activeMs), to);
  const isRolledBack = random.chance(0.4);
  const endMs = first.atMs + MOST_PODS * first.stepMs;
  return { pods: from, rolls: isRolledBack ? [first, roll(endMs + random.int(0, 20_000), from)] : [first] };
}

function choosePrewarms(random: Random, activeMs: number, objects: Scenario['objects']): PrewarmPlan[] {
  return Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => ({
    atMs: random.chance(0.5) ? 0 : random.int(0, activeMs / 2),
    replica: random.next(),
    keys: objects.filter(() => random.chance(0.8)).map(({ key }) => key),
    parallelism: random.pick([1, 4, 32]),
    forMs: random.chance(0.3) ? random.int(0, activeMs) : activeMs,
  }));
}

/** Whether a fault was active at any time in `[fromMs, toMs]`. */
export function wasActive(scenario: Scenario, faults: readonly Fault[], fromMs: number, toMs: number): boolean {
  return scenario.windows.some(
    (window) => faults.includes(window.fault) && window.fromMs <= toMs && window.toMs >= fromMs,
  );
}

function chooseFaults(random: Random): ReadonlySet<Fault> {
  if (random.chance(CALM_SHARE)) return new Set();
  // A few faults isolate a cause; many faults show what only their combination causes.
  const probability = random.pick([0.08, 0.2, 0.45]);
  const chosen = FAULTS.filter((fault) => random.chance(fault === 'pressure' ? PRESSURE_SHARE : probability));
  return new Set(chosen.length > 0 ? chosen : [random.pick(FAULTS)]);
}

function chooseCapacityFaults(random: Random): ReadonlySet<Fault> {
  const probability = random.pick([0, 0.2, 0.5]);
  return new Set(CAPACITY_FAULTS.filter(() => random.chance(probability)));
}

function chooseCapacity(
  random: Random,
  activeMs: number,
  objects: Scenario['objects'],
  largestChunkBytes: number,
): CapacityPlan {
  const dataBytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  // The configuration requires room for four of the largest chunks.
  const share = (of: number): number => Math.max(4 * largestChunkBytes, Math.round(dataBytes * of));
  const highWatermark = random.pick([60, 80, 90, 99]);
  const limit = random.pick(['capacity', 'capacity', 'capacity', 'store', 'both', 'none'] as const);
  const capacityBytes = share(random.pick([0.2, 0.4, 0.6, 1.2]));
  const settings: CapacitySettings = {
    ...DEFAULT_CAPACITY,
    capacityBytes: limit === 'capacity' || limit === 'both' ? capacityBytes : undefined,
    highWatermark,
    lowWatermark: random.pick([highWatermark - 1, highWatermark - 10, highWatermark >> 1]),
    maxIdleMs: random.chance(0.3) ? random.pick([1, 3]) * MINUTE_MS : undefined,
    minAgeMs: random.pick([0, 5_000, 20_000, 60_000, 120_000]),
    sweepIntervalMs: random.pick([1, 2, 4]) * MINUTE_MS,
  };
  const isChanged = limit !== 'none' && random.chance(0.25);
  return {
    settings,
    change: isChanged ? { atMs: random.int(0, activeMs), capacityBytes: share(random.pick([0.2, 0.5, 2])) } : undefined,
    storeBytes: limit === 'store' || limit === 'both' ? share(random.pick([0.3, 0.6, 1])) + SMALLS_BYTES : undefined,
    clockOffsetMs: random.chance(0.4) ? random.int(-10, 10) * 30_000 : 0,
    pins: Array.from({ length: random.pick([0, 0, 1, 2]) }, (_, number) =>
      choosePin(random, activeMs, objects, number),
    ),
    overwrites: Array.from({ length: random.pick([0, 0, 2, 5]) }, () => ({
      atMs: random.next() * activeMs,
      which: random.next(),
    })),
  };
}

/** A disk that pinned objects alone would fill takes no other chunk ever. */
function withRoom(plan: CapacityPlan, objects: Scenario['objects'], largestChunkBytes: number): CapacityPlan {
  if (plan.storeBytes === undefined) return plan;
  const pinned = new Set(plan.pins.flatMap(({ keys }) => keys));
  const pinnedBytes = objects.reduce((sum, { key, sizeBytes }) => sum + (pinned.has(key) ? sizeBytes : 0), 0);
  const isTooSmall = pinnedBytes > plan.storeBytes;
  return isTooSmall ? { ...plan, storeBytes: pinnedBytes + SMALLS_BYTES + 4 * largestChunkBytes } : plan;
}

function choosePin(random: Random, activeMs: number, objects: Scenario['objects'], number: number): PinPlan {
  const atMs = random.chance(0.5) ? random.int(0, 5_000) : random.int(0, activeMs);
  const later = (): number => atMs + random.int(1_000, activeMs);
  return {
    name: `pin-${number}`,
    keys: Array.from({ length: random.int(1, 3) }, () => random.pick(objects).key),
    atMs,
    replica: random.next(),
    expiresMs: random.chance(0.3) ? later() : undefined,
    removedMs: random.chance(0.3) ? later() : undefined,
  };
}

/** Some caches must serve no version that ended before the read began. */
function chooseFreshness(
  random: Random,
  isOutage: boolean,
): Pick<Scenario, 'staleWhileRevalidateMs'> & { ttlMs: number | undefined } {
  return {
    ttlMs: !isOutage && random.chance(STRICT_SHARE) ? 0 : undefined,
    staleWhileRevalidateMs: random.pick([0, 1_000, 30_000, 30_000]),
  };
}

/** Under memory pressure fills without readers have to end. */
function chooseImpatience(random: Random): ReadonlySet<Fault> {
  return new Set<Fault>(random.chance(0.6) ? ['cancel'] : ['cancel', 'pressure']);
}

function chooseChunks(random: Random): Pick<Scenario, 'chunkBytes' | 'tiers'> & { largestChunkBytes: number } {
  // Sometimes chunks of several parts, which take longest.
  if (random.chance(0.08)) return { chunkBytes: 12 * MIB, tiers: [], largestChunkBytes: 12 * MIB };
  const chunkBytes = random.pick([64 * KIB, 64 * KIB, 256 * KIB, 300 * KIB, MIB, MIB, 1_500 * KIB, 2 * MIB, 4 * MIB]);
  if (!random.chance(0.3)) return { chunkBytes, tiers: [], largestChunkBytes: chunkBytes };
  const tier = { minObjectSizeBytes: 3 * MIB, chunkSizeBytes: chunkBytes * 2 };
  return { chunkBytes, tiers: [tier], largestChunkBytes: tier.chunkSizeBytes };
}

function chooseSparseChunks(random: Random): ReturnType<typeof chooseChunks> {
  const tier = { minObjectSizeBytes: 3 * MIB, chunkSizeBytes: random.pick([1, 2, 4, 4]) * MIB };
  return { chunkBytes: random.pick([64, 256, 512]) * KIB, tiers: [tier], largestChunkBytes: tier.chunkSizeBytes };
}

function chooseObjects(random: Random, chunkBytes: number, tiers: readonly ChunkTier[]): Scenario['objects'] {
  const count = random.int(3, 10);
  const most = chunkBytes > 8 * MIB ? chunkBytes + 4 * MIB : 6 * MIB;
  return Array.from({ length: count }, (_, index) => {
    const key = `object-${index}`;
    switch (random.pick(['tiny', 'chunks', 'chunks', 'any', 'any', 'any', 'tier', 'empty'])) {
      case 'empty':
        return { key, sizeBytes: 0 };
      case 'tiny':
        return { key, sizeBytes: random.int(1, 4 * KIB) };
      case 'chunks':
        // At the border of a chunk, and one byte before and after it.
        return {
          key,
          sizeBytes: Math.min(chunkBytes * random.int(1, 6), roundDown(most, chunkBytes)) + random.int(-1, 2),
        };
      case 'tier':
        return { key, sizeBytes: (tiers[0]?.minObjectSizeBytes ?? chunkBytes) + random.int(-1, 2) };
      default:
        return { key, sizeBytes: Math.round(random.magnitude(10 * KIB, most)) };
    }
  });
}

/** Room for the small objects of a run. */
const SMALLS_BYTES = 512 * KIB;

function chooseWindows(random: Random, faults: ReadonlySet<Fault>, activeMs: number): FaultWindow[] {
  return [...faults].flatMap((fault) => {
    const own = random.fork(fault);
    const always = fault === 'cancel' || fault === 'pressure';
    return Array.from({ length: always ? 1 : own.int(1, 4) }, () => {
      // Often from the start, when no cache is filled.
      const fromMs = always || own.chance(0.4) ? 0 : own.int(0, activeMs);
      const lengthMs = Math.round(own.magnitude(2_000, 60_000));
      return {
        fault,
        fromMs,
        toMs: always ? activeMs : Math.min(fromMs + lengthMs, activeMs),
        probability: own.pick([0.05, 0.2, 0.5, 0.9]),
        which: own.next(),
        way: own.next(),
      };
    });
  });
}

function chooseOutage(random: Random, activeMs: number): FaultWindow[] {
  const fromMs = activeMs * (0.1 + random.next() / 4);
  return [
    {
      fault: 'origin-down',
      fromMs,
      toMs: activeMs,
      probability: 1,
      which: 0.5 + random.next() / 2,
      way: random.next(),
    },
  ];
}

function chooseClients(
  random: Random,
  faults: ReadonlySet<Fault>,
  activeMs: number,
  objects: Scenario['objects'],
  chunkBytes: number,
  { isSparse, isImpatient }: { readonly isSparse: boolean; readonly isImpatient: boolean },
): ClientPlan[] {
  const clients: ClientPlan[] = [];
  let leftBytes = READ_BYTES;
  while (leftBytes > 0 && clients.length < 120) {
    const object = random.pick(objects);
    // A burst: many clients on one object at nearly the same time.
    const burst = random.chance(0.25) ? random.int(2, 12) : 1;
    const atMs = random.next() * activeMs;
    for (let i = 0; i < burst && leftBytes > 0; i++) {
      const id = `client-${clients.length}`;
      const range =
        isSparse && random.chance(0.85)
          ? chooseSpot(random, object.sizeBytes)
          : chooseRange(random, object.sizeBytes, chunkBytes);
      const key = random.chance(0.02) ? MISSING_KEY : object.key;
      clients.push({
        id,
        key,
        range,
        atMs: atMs + random.next() * random.pick([0, 1, 50, 1_000]),
        replica: random.next(),
        condition: random.chance(0.85)
          ? 'none'
          : random.pick(['if-match', 'if-match-wrong', 'if-none-match', 'if-range', 'if-range-wrong']),
        headOnly: random.chance(0.04),
        bytesPerMs: random.chance(0.1) ? random.magnitude(20, 1_000) : random.magnitude(5_000, 1_000_000),
        pauseMs: random.chance(0.08) ? random.int(1_000, 40_000) : 0,
        cancel:
          faults.has('cancel') && random.chance(isImpatient ? 0.9 : 0.4)
            ? chooseCancel(random, object.sizeBytes)
            : undefined,
      });
      leftBytes -= Math.max(rangeBytes(range, object.sizeBytes), 100 * KIB);
    }
  }
  return clients.toSorted((a, b) => a.atMs - b.atMs);
}

function chooseCancel(random: Random, sizeBytes: number): NonNullable<ClientPlan['cancel']> {
  return random.chance(0.5) ? { afterMs: random.magnitude(0.1, 3_000) } : { afterBytes: random.int(0, sizeBytes + 1) };
}

function chooseRange(random: Random, sizeBytes: number, chunkBytes: number): RangePlan | undefined {
  if (random.chance(0.5) || sizeBytes === 0) return undefined;
  const from = random.int(0, sizeBytes);
  switch (random.pick(['any', 'any', 'small', 'open', 'suffix', 'edge', 'beyond'])) {
    case 'small':
      return { from, to: from + random.int(1, 70 * KIB) };
    case 'open':
      return { from, to: undefined };
    case 'suffix':
      return { from: undefined, to: random.int(1, sizeBytes + 10) };
    case 'edge': {
      const edge = Math.min(roundDown(from, chunkBytes) + random.int(-1, 2), sizeBytes - 1);
      return { from: Math.max(edge, 0), to: Math.max(edge, 0) + random.int(1, chunkBytes + 2) };
    }
    case 'beyond':
      return random.chance(0.2)
        ? { from: sizeBytes + random.int(0, 10), to: undefined }
        : { from, to: sizeBytes + 100 };
    default:
      return { from, to: random.int(from, sizeBytes) + 1 };
  }
}

/** A footer, or a small range, often one that another client has read. */
function chooseSpot(random: Random, sizeBytes: number): RangePlan | undefined {
  if (sizeBytes === 0) return undefined;
  if (random.chance(0.3)) return { from: undefined, to: random.pick([8, 4 * KIB, 60 * KIB]) };
  const spot = random.chance(0.5) ? random.int(0, 4) * 100 * KIB : random.int(0, sizeBytes);
  const from = Math.min(spot, sizeBytes - 1);
  return { from, to: from + random.int(1, random.pick([4 * KIB, 70 * KIB, 150 * KIB])) };
}

function rangeBytes(range: RangePlan | undefined, sizeBytes: number): number {
  if (range === undefined) return sizeBytes;
  if (range.from === undefined) return range.to ?? 0;
  return Math.max(0, Math.min(range.to ?? sizeBytes, sizeBytes) - range.from);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

function roundDown(value: number, step: number): number {
  return Math.floor(value / step) * step;
}
