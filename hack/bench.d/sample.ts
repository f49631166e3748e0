/** What one measurement says, and what several of the same say together. Pure. */
import type { LoadReport } from './load.ts';
import { GIB, type Work } from './lines.ts';

/** What the processes beside the clients did meanwhile. */
export interface Effort {
  /** Of the cache's processes. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  /** Of the cachestore; undefined where there is none, or it does not count. */
  readonly storeBytes: number | undefined;
  readonly originBytes: number;
  /** Body bytes by where the cache had them from; undefined where it does not say. */
  readonly servedFromMemory: number | undefined;
}

export interface Sample {
  readonly megabytesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly slowestMs: number;
  readonly cpuSecondsPerGib: number;
  readonly cpuUsPerRequest: number;
  /** Bytes that the cache read from store and origin for each byte that it served; NaN where nobody has counted. */
  readonly readPerServed: number;
  /** Bytes of the origin for each byte of the objects that were asked for. */
  readonly duplication: number;
  readonly originBytes: number;
  readonly peakBytes: number;
  /** Share of the bytes served; NaN where nobody has counted. */
  readonly fromMemory: number;
  /** Answers that asked for patience. */
  readonly refusals: number;
}

export function sampleOf(work: Work, report: LoadReport, effort: Effort): Sample {
  const { seconds, requests, bytes } = report;
  return {
    megabytesPerSecond: bytes / seconds / 1e6,
    requestsPerSecond: requests / seconds,
    firstByteMs: report.firstByteMs.p50,
    totalMs: report.totalMs.p50,
    slowestMs: report.totalMs.p99,
    cpuSecondsPerGib: effort.cpuSeconds / (bytes / GIB),
    cpuUsPerRequest: (effort.cpuSeconds / requests) * 1e6,
    readPerServed: (effort.originBytes + (effort.storeBytes ?? Number.NaN)) / bytes,
    duplication: effort.originBytes / (work.objectBytes * work.keys),
    originBytes: effort.originBytes,
    peakBytes: effort.peakBytes,
    fromMemory: (effort.servedFromMemory ?? Number.NaN) / bytes,
    refusals: report.refusals,
  };
}

/** Field by field the median, which one noisy neighbour does not move. */
export function medianOf(samples: readonly Sample[]): Sample {
  const [first] = samples;
  if (first === undefined) throw new RangeError('there is no median of nothing');
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
