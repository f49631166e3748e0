/** Computes the numbers of one measurement and the medians of several. Pure. */
import type { LoadReport } from './load.ts';
import { chunksOf, GIB, type Variant } from './lines.ts';

/** Resources used by the servers during a measurement. */
export interface ResourceUse {
  /** CPU time of the processes of the target. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  /** Bytes read from the cachestore; undefined if the target has none or it has no counters. */
  readonly storeBytes: number | undefined;
  /** Reads of the cachestore that found nothing; undefined likewise. */
  readonly storeMisses: number | undefined;
  readonly originBytes: number;
  /** Body bytes served from memory; undefined if the target has no counters. */
  readonly servedFromMemory: number | undefined;
}

export interface Sample {
  readonly megabytesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly firstByteMs: number;
  readonly slowestFirstByteMs: number;
  readonly totalMs: number;
  readonly slowestMs: number;
  readonly cpuSecondsPerGib: number;
  readonly cpuUsPerRequest: number;
  /** Bytes read from store and origin per byte served; NaN without counters. */
  readonly readPerServed: number;
  /** Reads of the cachestore that found nothing, per chunk of the objects; NaN without counters. */
  readonly missesPerChunk: number;
  /** Bytes from the origin per byte of the requested objects. */
  readonly duplication: number;
  readonly originBytes: number;
  readonly peakBytes: number;
  /** Share of the served bytes; NaN without counters. */
  readonly fromMemory: number;
  /** Number of 503 responses with Retry-After. */
  readonly refusals: number;
}

export function sampleOf(variant: Variant, report: LoadReport, use: ResourceUse): Sample {
  const { seconds, requests, bytes } = report;
  const { work } = variant;
  return {
    megabytesPerSecond: bytes / seconds / 1e6,
    requestsPerSecond: requests / seconds,
    firstByteMs: report.firstByteMs.p50,
    slowestFirstByteMs: report.firstByteMs.max,
    totalMs: report.totalMs.p50,
    slowestMs: report.totalMs.p99,
    cpuSecondsPerGib: use.cpuSeconds / (bytes / GIB),
    cpuUsPerRequest: (use.cpuSeconds / requests) * 1e6,
    readPerServed: (use.originBytes + (use.storeBytes ?? Number.NaN)) / bytes,
    missesPerChunk: (use.storeMisses ?? Number.NaN) / chunksOf(variant),
    duplication: use.originBytes / (work.objectBytes * work.keys),
    originBytes: use.originBytes,
    peakBytes: use.peakBytes,
    fromMemory: (use.servedFromMemory ?? Number.NaN) / bytes,
    refusals: report.refusals,
  };
}

/** The median of each field, which a single outlier does not change. */
export function medianOf(samples: readonly Sample[]): Sample {
  const [first] = samples;
  if (first === undefined) throw new RangeError('medianOf requires at least one sample');
  const names = Object.keys(first) as (keyof Sample)[];
  const entries = names.map((name) => [name, median(samples.map((sample) => sample[name]))] as const);
  return Object.fromEntries(entries) as unknown as Sample;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
