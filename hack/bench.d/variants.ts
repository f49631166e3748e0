/** The measurements of each line. */
import { GIB, KIB, MIB, type Setup, type Variant } from './lines.ts';

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

/**
 * Each worker gets a part of a core, so that the load generator and the store do not compete with them for the cores of
 * a small machine.
 */
export const CPUS_PER_WORKER = 0.4;
const TWO_WORKERS = { workers: [1, 2], cpusPerProcess: CPUS_PER_WORKER } as const;

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

/** In the order of the table. */
export const VARIANTS: readonly Variant[] = [
  ...[1, 4, 16].map((connections) => ({
    line: 'a' as const,
    title: `warm 64 MiB objects from the store, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
    setup: IN_STORE,
    work: { ...FULL_READS, keys: MANY, connections },
    state: 'warm' as const,
    nginx: true,
  })),
  ...[1, 16].map((connections) => ({
    line: 'a' as const,
    title: `warm 64 MiB objects from memory, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
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
    title: '30 clients, one cold 64 MiB object, 3 replicas with 0.2 CPU each',
    setup: { ...chunks('8Mi', '1Gi', 3), cpusPerProcess: 0.2 },
    work: { ...BURST, connections: 30, requests: 30 },
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
  {
    line: 'h',
    title: 'warm 4 KiB objects from memory, 0.4 CPU for each worker',
    setup: { ...IN_MEMORY, ...TWO_WORKERS },
    work: { ...SMALL, keys: 64, connections: 64 },
    state: 'warm',
    nginx: false,
  },
  {
    line: 'h',
    title: 'warm 64 MiB objects from the store, 0.4 CPU for each worker',
    // Little memory and few connections: otherwise one worker shares more reads of the store than two.
    setup: { ...chunks('8Mi', '160Mi'), ...TWO_WORKERS },
    work: { ...FULL_READS, keys: MANY, connections: 8 },
    state: 'warm',
    nginx: false,
  },
  {
    line: 'i',
    title: 'cold 16 MiB objects, one of 3 replicas frozen',
    setup: chunks('8Mi', '512Mi', 3),
    work: { objectBytes: 16 * MIB, keys: 16, connections: 4, requests: 16, inOrder: true },
    state: 'cold',
    freezes: true,
    origin: DISTANT_ORIGIN,
    nginx: false,
  },
];
