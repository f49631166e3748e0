/** The number of processes of a pod: the field, and the rules that a pod's memory must meet for it. */
import { MAX_WORKERS } from '#crds/names.ts';
import { parseQuantity, parseResource } from '#crds/quantity.ts';
import * as behavior from './behavior.ts';
import { bytes, isNotWhole, withDefault } from './field-builders.ts';
import type { Rule } from './json-schema.ts';

/** `MAX_WORKERS`, as a pattern. */
const FIXED_NUMBER = '([1-9]|1[0-6])';

/**
 * Beside its share of the chunk budget, a worker needs 256 MiB for V8’s old space, the limit that the operator sets, and
 * half of that for the young generation, code, sockets and its share of the parent process.
 */
const RESERVE = '384Mi';
export const WORKER_RESERVE_BYTES = 384 * 1024 ** 2;

/** The budget of a container without a memory limit: an amount that even a small machine can spare. */
export const UNLIMITED_BUDGET_BYTES = 1024 ** 3;

export const workers = withDefault(
  {
    description:
      'Number of processes in each pod. A process uses one core for most of its work; all of them share the pod’s ports ' +
      `and divide its memory budget. From 1 to ${MAX_WORKERS}, or \`auto\`: the CPU limit (without one, the CPU request), ` +
      'rounded up, but not more than the memory holds.',
    maxLength: 4,
    'x-kubernetes-int-or-string': true,
    'x-kubernetes-validations': [
      {
        rule: `string(self).matches('^(auto|${FIXED_NUMBER})$')`,
        message: `must be an integer from 1 to ${MAX_WORKERS}, or auto`,
        holds: (value: string | number) => new RegExp(`^(auto|${FIXED_NUMBER})$`).test(String(value)),
      },
    ],
  } as const,
  1,
  'which needs the least memory',
);

type Quantities = Readonly<Record<string, string | number>>;

/** The fields of a spec that determine how many workers its pods have. */
export interface WorkerFields extends behavior.BudgetFields {
  readonly pod: {
    readonly workers: string | number;
    readonly resources: { readonly requests?: Quantities; readonly limits?: Quantities };
  };
}

/** The number of workers; `auto` as it is resolved for the resources of the container. */
export function workerCount(spec: WorkerFields): number {
  const { workers: wanted, resources } = spec.pod;
  if (wanted !== 'auto') return fixedCount(wanted);
  // The container's request is its limit if only the limit is set; without either, one core is all to count on.
  const cores = parseResource(resources.limits?.['cpu']) ?? parseResource(resources.requests?.['cpu']) ?? 1;
  // Thousandths, because 1100m times 0.001 is not exactly 1.1.
  const wholeCores = Math.ceil(Math.round(cores * 1000) / 1000);
  const candidates = Array.from({ length: MAX_WORKERS }, (_, index) => MAX_WORKERS - index);
  return candidates.find((count) => count <= wholeCores && memoryHolds(spec, count)) ?? 1;
}

/** 1 for `auto`, whose number fits the memory by definition, and for malformed values, which another rule reports. */
function fixedCount(wanted: string | number): number {
  const count = Number(wanted);
  return Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS ? count : 1;
}

function memoryHolds(spec: WorkerFields, count: number): boolean {
  const limit = limitBytes(spec);
  const budgetBytes =
    spec.memory.budget === undefined
      ? limit === undefined
        ? UNLIMITED_BUDGET_BYTES
        : limit / 2
      : parseQuantity(spec.memory.budget);
  if (budgetBytes === undefined) return false;
  const reserveFits = limit === undefined || limit - budgetBytes >= count * WORKER_RESERVE_BYTES;
  return reserveFits && behavior.holdsChunks(spec, Math.floor(budgetBytes), behavior.CHUNKS_IN_BUDGET * count);
}

function limitBytes({ pod }: WorkerFields): number | undefined {
  return parseResource(pod.resources.limits?.['memory']);
}

const NUMBERS = Array.from({ length: MAX_WORKERS }, (_, index) => `'${index + 1}'`).join(', ');
/** CEL for `fixedCount`. */
const COUNT = `(string(self.pod.workers) in [${NUMBERS}] ? int(string(self.pod.workers)) : 1)`;
const LIMIT = "self.pod.resources.limits['memory']";
const NO_LIMIT = "!has(self.pod.resources.limits) || !('memory' in self.pod.resources.limits)";
/** The largest chunk, four times for each worker, is at most `cel` divided by `divisor`. Malformed sizes pass. */
function chunksFit(cel: string, divisor: number): string {
  const fits = behavior.everyChunkSize('q.asInteger() <= most');
  return `[${cel} / (${divisor} * ${COUNT})].all(most, ${fits})`;
}

/** The budget is half of the memory limit and holds four chunks for each worker. */
const CHUNKS_IN_LIMIT = 2 * behavior.CHUNKS_IN_BUDGET;
const READS = ['chunking', 'memory', 'pod'];

/** The rules of `spec`. */
export const memoryRules = [
  {
    rule:
      `!has(self.memory.budget) || ${isNotWhole('self.memory.budget')} || ` +
      chunksFit(bytes('self.memory.budget'), behavior.CHUNKS_IN_BUDGET),
    message: 'must be at least four times the largest chunk size for each worker of a pod',
    fieldPath: '.memory.budget',
    reads: READS,
    holds: (value: WorkerFields) =>
      behavior.holdsChunks(value, value.memory.budget, behavior.CHUNKS_IN_BUDGET * fixedCount(value.pod.workers)),
  },
  {
    rule:
      `has(self.memory.budget) || ${NO_LIMIT} || ${isNotWhole(LIMIT)} || ` + chunksFit(bytes(LIMIT), CHUNKS_IN_LIMIT),
    message:
      'the memory limit must be at least eight times the largest chunk size for each worker, because half of it is the ' +
      'chunk budget; raise the limit, lower pod.workers, or set memory.budget',
    fieldPath: '.pod.resources.limits',
    reads: READS,
    holds: (value: WorkerFields) =>
      value.memory.budget !== undefined ||
      behavior.holdsChunks(
        value,
        value.pod.resources.limits?.['memory'],
        CHUNKS_IN_LIMIT * fixedCount(value.pod.workers),
      ),
  },
  {
    rule:
      `has(self.memory.budget) || !(${NO_LIMIT}) || ${COUNT} == 1 || ` +
      chunksFit(String(UNLIMITED_BUDGET_BYTES), behavior.CHUNKS_IN_BUDGET),
    message:
      'must be set: without a memory limit the budget is 1Gi, which does not hold four of the largest chunks for each ' +
      'worker of a pod',
    fieldPath: '.memory.budget',
    reads: READS,
    holds: (value: WorkerFields) =>
      value.memory.budget !== undefined ||
      value.pod.resources.limits?.['memory'] !== undefined ||
      fixedCount(value.pod.workers) === 1 ||
      behavior.holdsChunks(value, UNLIMITED_BUDGET_BYTES, behavior.CHUNKS_IN_BUDGET * fixedCount(value.pod.workers)),
  },
  {
    rule:
      `${COUNT} == 1 || ${NO_LIMIT} || ${isNotWhole(LIMIT)} || ` +
      `has(self.memory.budget) && ${isNotWhole('self.memory.budget')} || ` +
      `${bytes(LIMIT)} - (has(self.memory.budget) ? ${bytes('self.memory.budget')} : ${bytes(LIMIT)} / 2) ` +
      `>= ${COUNT} * ${WORKER_RESERVE_BYTES}`,
    message:
      `the memory limit must leave ${RESERVE} for each worker beside the chunk budget, which is half of the limit by ` +
      'default; raise the limit, or lower pod.workers or memory.budget',
    fieldPath: '.pod.resources.limits',
    reads: READS,
    holds: (value: WorkerFields) => {
      const limit = limitBytes(value);
      const { budget } = value.memory;
      const count = fixedCount(value.pod.workers);
      // A fraction of a byte passes in the API server, too.
      if (limit === undefined || !Number.isInteger(limit) || count === 1) return true;
      const budgetBytes = budget === undefined ? limit / 2 : (parseQuantity(budget) ?? 0);
      return limit - budgetBytes >= count * WORKER_RESERVE_BYTES;
    },
  },
] as const satisfies readonly Rule[];
