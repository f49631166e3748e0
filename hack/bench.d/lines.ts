/**
 * The work to measure: what the clients read, and in which state the cache is. Lines differ in the work of the clients,
 * variants of a line in the setup of the cache.
 */

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
const KIB = 1024;

export const LINE_IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
export type LineId = (typeof LINE_IDS)[number];

export function isLineId(text: string): text is LineId {
  return LINE_IDS.some((id) => id === text);
}

/** The configuration of the cache. */
export interface Setup {
  /** As in the configuration file. */
  readonly chunking: {
    readonly size: string;
    readonly tiers: readonly { readonly minObjectSize: string; readonly chunkSize: string }[];
  };
  readonly budget: string;
  readonly replicas: number;
}

export interface Work {
  readonly objectBytes: number;
  /** Number of different objects. */
  readonly keys: number;
  readonly connections: number;
  /** Ranges of this length instead of whole objects. */
  readonly rangeBytes?: number;
  readonly rangeAt?: 'any' | 'end';
  /** Start all requests at the same time. */
  readonly simultaneous?: boolean;
  /** Number of requests; by default the work runs for `--seconds`. */
  readonly requests?: number;
  /** Read each key once, in order. */
  readonly inOrder?: boolean;
  /** Retry after a 503. */
  readonly retriesRefused?: boolean;
}

export interface Variant {
  readonly line: LineId;
  readonly title: string;
  readonly setup: Setup;
  readonly work: Work;
  /** Cold work reads objects that are not cached. Warm work runs once before the measurement. */
  readonly state: 'cold' | 'warm';
  /** Work that runs before each measurement of warm work, to evict its objects from memory. */
  readonly before?: Work;
  /** Latency of the origin and bytes/s of each connection; undefined = not limited. */
  readonly origin?: { readonly latencyMs: number; readonly bytesPerSecond: number };
  /** Whether an nginx cache can do the same work. */
  readonly nginx: boolean;
}

const DISTANT_ORIGIN = { latencyMs: 20, bytesPerSecond: 100_000_000 };

function chunks(size: string, budget = '1Gi', replicas = 1): Setup {
  return { chunking: { size, tiers: [] }, budget, replicas };
}

const IN_MEMORY = chunks('8Mi');
/** The objects of a warm line exceed these budgets many times, so that they come from the cachestore. */
const IN_STORE = chunks('8Mi', '256Mi');
const IN_STORE_LONG = chunks('64Mi', '384Mi');
const SMALL_IN_STORE = chunks('8Mi', '64Mi');
const DEFAULT_TIERS: Setup = {
  chunking: {
    size: '8Mi',
    tiers: [
      { minObjectSize: '1Gi', chunkSize: '64Mi' },
      { minObjectSize: '10Gi', chunkSize: '128Mi' },
    ],
  },
  budget: '1Gi',
  replicas: 1,
};

const FULL_READS = { objectBytes: 64 * MIB } as const;
const RANGES = { objectBytes: 64 * MIB, rangeBytes: 64 * KIB, rangeAt: 'any', connections: 16 } as const;
const SMALL = { objectBytes: 4 * KIB, connections: 16 } as const;
const MANY = 32;
const FEW = 4;
const BURST = { objectBytes: 64 * MIB, keys: 1, connections: 100, requests: 100, simultaneous: true } as const;

function cold(title: string, setup: Setup, objectBytes: number, nginx: boolean): Variant {
  const work = { objectBytes, keys: 1, connections: 1, requests: 1 };
  return { line: 'd', title, setup, work, state: 'cold', origin: DISTANT_ORIGIN, nginx };
}

export const VARIANTS: readonly Variant[] = [
  ...[1, 4, 16].map((connections) => ({
    line: 'a' as const,
    title: `warm 64 MiB objects from the store, ${connections} connections`,
    setup: IN_STORE,
    work: { ...FULL_READS, keys: MANY, connections },
    state: 'warm' as const,
    nginx: true,
  })),
  ...[1, 16].map((connections) => ({
    line: 'a' as const,
    title: `warm 64 MiB objects from memory, ${connections} connections`,
    setup: IN_MEMORY,
    work: { ...FULL_READS, keys: FEW, connections },
    state: 'warm' as const,
    nginx: connections === 16,
  })),
  {
    line: 'b',
    title: 'warm 64 KiB ranges from the store, 8 MiB chunks',
    setup: IN_STORE,
    work: { ...RANGES, keys: MANY },
    state: 'warm',
    nginx: true,
  },
  {
    line: 'b',
    title: 'warm 64 KiB ranges from the store, 64 MiB chunks',
    setup: IN_STORE_LONG,
    work: { ...RANGES, keys: MANY },
    state: 'warm',
    nginx: false,
  },
  {
    line: 'b',
    title: 'warm 64 KiB ranges from memory',
    setup: IN_MEMORY,
    work: { ...RANGES, keys: FEW },
    state: 'warm',
    nginx: true,
  },
  {
    line: 'c',
    title: 'warm 4 KiB objects from the store',
    setup: SMALL_IN_STORE,
    work: { ...SMALL, keys: 8192 },
    state: 'warm',
    nginx: true,
  },
  {
    line: 'c',
    title: 'warm 4 KiB objects from memory',
    setup: IN_MEMORY,
    work: { ...SMALL, keys: 64 },
    state: 'warm',
    nginx: true,
  },
  cold('cold 64 MiB, 8 MiB chunks', chunks('8Mi'), 64 * MIB, true),
  cold('cold 64 MiB, 64 MiB chunks', chunks('64Mi'), 64 * MIB, false),
  cold('cold 64 MiB, 128 MiB chunks', chunks('128Mi'), 64 * MIB, false),
  cold('cold 256 MiB, 8 MiB chunks', chunks('8Mi'), 256 * MIB, true),
  cold('cold 256 MiB, 64 MiB chunks', chunks('64Mi'), 256 * MIB, false),
  cold('cold 256 MiB, 128 MiB chunks', chunks('128Mi'), 256 * MIB, false),
  {
    line: 'e',
    title: '100 clients, one cold 64 MiB object, 1 replica',
    setup: chunks('8Mi'),
    work: BURST,
    state: 'cold',
    origin: DISTANT_ORIGIN,
    nginx: true,
  },
  {
    line: 'e',
    title: '100 clients, one cold 64 MiB object, 3 replicas',
    setup: chunks('8Mi', '1Gi', 3),
    work: BURST,
    state: 'cold',
    origin: DISTANT_ORIGIN,
    nginx: false,
  },
  {
    line: 'e',
    title: '100 clients, one warm 64 MiB object from the store',
    setup: IN_STORE,
    work: BURST,
    state: 'warm',
    before: { ...FULL_READS, keys: MANY, connections: 4, requests: MANY, inOrder: true },
    nginx: true,
  },
  {
    line: 'f',
    title: '64 cold 64 MiB chunks at once, budget 1 GiB',
    setup: chunks('64Mi'),
    work: {
      objectBytes: 64 * MIB,
      keys: 64,
      connections: 64,
      requests: 64,
      simultaneous: true,
      inOrder: true,
      retriesRefused: true,
    },
    state: 'cold',
    nginx: false,
  },
  {
    line: 'g',
    title: 'last 4 KiB of a cold 1 GiB object, default tiers',
    setup: DEFAULT_TIERS,
    work: { objectBytes: GIB, keys: 1, connections: 1, requests: 1, rangeBytes: 4 * KIB, rangeAt: 'end' },
    state: 'cold',
    origin: DISTANT_ORIGIN,
    nginx: true,
  },
];
