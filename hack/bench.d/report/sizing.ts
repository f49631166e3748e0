/** The table of docs/guides/sizing.md: cores, replicas and memory for a throughput, from the measured CPU times. Pure. */
import { CHUNKS_IN_BUDGET } from '#crds/schema/behavior.ts';
import { WORKER_RESERVE_BYTES } from '#crds/schema/workers.ts';
import { GIB, KIB, MIB, type LineId } from '#hack/bench.d/lines.ts';
import { alignedTable } from '#hack/bench.d/table.ts';
import { OURS, speedupOf } from '#hack/bench.d/targets.ts';
import { formatNumber } from './figures.ts';
import type { Results } from './results.ts';

export interface Workload {
  readonly name: string;
  readonly line: LineId;
  /** The title of the measurement. */
  readonly work: string;
  /** Bytes of one read; the CPU time of large reads is per GiB. */
  readonly readBytes: number;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'large objects, memory', line: 'a', work: 'warm 64 MiB objects from memory, 16 connections', readBytes: GIB },
  {
    name: 'large objects, store',
    line: 'a',
    work: 'warm 64 MiB objects from the store, 16 connections',
    readBytes: GIB,
  },
  { name: '64 KiB ranges, memory', line: 'b', work: 'warm 64 KiB ranges from memory', readBytes: 64 * KIB },
  {
    name: '64 KiB ranges, store',
    line: 'b',
    work: 'warm 64 KiB ranges from the store, 8 MiB chunks',
    readBytes: 64 * KIB,
  },
  { name: '4 KiB objects, memory', line: 'c', work: 'warm 4 KiB objects from memory', readBytes: 4 * KIB },
  { name: '4 KiB objects, store', line: 'c', work: 'warm 4 KiB objects from the store', readBytes: 4 * KIB },
];

/** From one that a small cluster has to one that fills a rack. */
export const RATES_GBIT = [1, 2.5, 5, 10, 25, 50, 100] as const;

/** Share of a core that steady load uses. Bursts, cold reads and the loss of a replica need the remaining capacity. */
export const UTILIZATION = 0.7;
/** The default of spec.replicas: the loss of one costs a third. */
const LEAST_REPLICAS = 3;
/** Most nodes have 8 cores for one pod. Larger loads have several such pods, so that the loss of one costs a small part. */
const MOST_WORKERS_PER_REPLICA = 8;
/** More replicas than that are no recommendation for this kind of work. */
const MOST_REPLICAS = 100;
/** The default tiers: objects above 10 GiB. */
const LARGEST_CHUNK_BYTES = 128 * MIB;
/** The default of the chart, which leaves room for a memory tier. */
const LEAST_MEMORY_BYTES = 2 * GIB;

export interface Size {
  readonly workers: number;
  readonly replicas: number;
  readonly workersPerReplica: number;
  readonly memoryBytesPerReplica: number;
}

/**
 * cores = reads per second × CPU seconds per read ÷ (utilization × what a further worker adds). A worker uses one core.
 */
export function sizeFor(gbitPerSecond: number, readBytes: number, cpuSecondsPerRead: number, scaling: number): Size {
  const readsPerSecond = (gbitPerSecond * 1e9) / 8 / readBytes;
  const workers = Math.max(1, Math.ceil((readsPerSecond * cpuSecondsPerRead) / (UTILIZATION * scaling)));
  const replicas = Math.max(LEAST_REPLICAS, Math.ceil(workers / MOST_WORKERS_PER_REPLICA));
  const workersPerReplica = Math.ceil(workers / replicas);
  return { workers, replicas, workersPerReplica, memoryBytesPerReplica: memoryFor(workersPerReplica) };
}

/** Half of the limit is the chunk budget, which holds four of the largest chunks for each worker. */
export function memoryFor(workers: number): number {
  const budgetBytes = CHUNKS_IN_BUDGET * LARGEST_CHUNK_BYTES;
  return Math.max(LEAST_MEMORY_BYTES, workers * Math.max(2 * budgetBytes, budgetBytes + WORKER_RESERVE_BYTES));
}

/** Name of the part → Markdown. */
export function sizingParts(results: Results): Map<string, string> {
  const scaling = scalingOf(results);
  const costs = WORKLOADS.map((workload) => ({ workload, cost: costOf(results, workload) }));
  const perCore = alignedTable([
    ['one core, fully used', 'CPU', 'throughput'],
    ...costs.map(({ workload, cost }) => [workload.name, describeCost(workload, cost), describeRate(workload, cost)]),
  ]);
  const sizes = alignedTable([
    ['throughput', ...WORKLOADS.map(({ name }) => name)],
    ...RATES_GBIT.map((gbit) => [
      `${gbit} Gbit/s`,
      ...costs.map(({ workload, cost }) =>
        cost === undefined ? '–' : describeSize(sizeFor(gbit, workload.readBytes, cost, scaling)),
      ),
    ]),
  ]);
  const memory = alignedTable([
    ['`spec.pod.workers`', ...[1, 2, 4, 8].map(String)],
    ['memory limit of the pod, at least', ...[1, 2, 4, 8].map((count) => `${memoryFor(count) / GIB} GiB`)],
  ]);
  const factor = `${(UTILIZATION * scaling).toFixed(2)} (${UTILIZATION} × ${scaling.toFixed(2)})`;
  return new Map([
    ['per-core', perCore],
    ['sizes', `The factor is ${factor} with the numbers of the run.\n\n${sizes}`],
    ['memory', memory],
  ]);
}

/** What each of two workers achieves relative to a single one, at most 1; the smallest of line h, or 1 without it. */
function scalingOf({ rows, machine }: Results): number {
  const speedups = rows
    .filter(({ variant }) => variant.line === 'h')
    .map(({ variant }) => speedupOf(rows, variant, machine.cpuLimits))
    .filter((speedup) => !Number.isNaN(speedup));
  return Math.min(1, ...speedups.map((speedup) => speedup / 2));
}

/** CPU seconds of one read. */
function costOf({ rows }: Results, { work, readBytes }: Workload): number | undefined {
  const found = rows.find(({ variant, target }) => variant.title === work && target === OURS)?.median;
  if (found === undefined) return undefined;
  return readBytes === GIB ? found.cpuSecondsPerGib : found.cpuUsPerRequest / 1e6;
}

function describeCost({ readBytes }: Workload, cost: number | undefined): string {
  if (cost === undefined) return '–';
  return readBytes === GIB ? `${cost.toFixed(2)} s/GiB` : `${(cost * 1e6).toFixed(0)} µs/request`;
}

function describeRate({ readBytes }: Workload, cost: number | undefined): string {
  if (cost === undefined) return '–';
  const gbit = ((readBytes / cost) * 8) / 1e9;
  const rate = `${formatNumber(gbit, gbit < 10 ? 1 : 0)} Gbit/s`;
  return readBytes === GIB ? rate : `${rate}, ${formatNumber(1 / cost, 0)} requests/s`;
}

function describeSize({ workers, replicas, workersPerReplica }: Size): string {
  const cores = `${workers} ${workers === 1 ? 'core' : 'cores'}`;
  return replicas > MOST_REPLICAS ? cores : `${cores}: ${replicas} × ${workersPerReplica}`;
}
