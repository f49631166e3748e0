/** The default memory budget for chunks. Pure: the caller reads the system's limits. */
import { UNLIMITED_BUDGET_BYTES } from '#crds/schema/workers.ts';

export interface MemoryFacts {
  /** `process.constrainedMemory()`, from cgroup v1 or v2. 0, or more than the machine's memory, means no limit. */
  readonly constrainedBytes: number;
  /** The machine's memory. */
  readonly totalBytes: number;
}

/** The container's memory limit; undefined without a limit. */
export function memoryLimit({ constrainedBytes, totalBytes }: MemoryFacts): number | undefined {
  return constrainedBytes > 0 && constrainedBytes < totalBytes ? constrainedBytes : undefined;
}

/** Half of the limit; the V8 heap, the sockets and their kernel buffers need the other half. */
export function defaultBudget(facts: MemoryFacts): number {
  const limitBytes = memoryLimit(facts);
  return limitBytes === undefined ? UNLIMITED_BUDGET_BYTES : Math.floor(limitBytes / 2);
}
