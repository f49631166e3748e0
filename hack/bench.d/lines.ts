/**
 * The work to measure: what the clients read, and in which state the cache is. Lines differ in the work of the clients,
 * variants of a line in the setup of the cache.
 */

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
export const KIB = 1024;

export const LINE_IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const;
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
  /** Starts one cache for each number of workers, to compare them; undefined = one cache with one process. */
  readonly workers?: readonly number[];
  /** Limits each process to this share of a core, where the kernel allows it (cpu-limit.ts). */
  readonly cpusPerProcess?: number;
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
  /** Whether the last replica is stopped with SIGSTOP while clients read through the other replicas. */
  readonly freezes?: boolean;
  /** Whether an nginx cache can do the same work. */
  readonly nginx: boolean;
}

/** Whether the table shows its rate in requests/s instead of bytes/s. */
export function isSmall({ work }: Variant): boolean {
  return (work.rangeBytes ?? work.objectBytes) < MIB;
}

/** The number of chunks of the objects of a work; NaN if the chunk size depends on the object. */
export function chunksOf({ setup, work }: Variant): number {
  const { size, tiers } = setup.chunking;
  if (tiers.length > 0) return Number.NaN;
  return work.keys * Math.ceil(work.objectBytes / (Number.parseInt(size, 10) * MIB));
}
