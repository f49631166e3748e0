/** How much memory chunks may take where the file does not say. Pure; the caller asks the system. */

/** A small machine has this much to spare. */
const UNLIMITED_BUDGET_BYTES = 1024 ** 3;

export interface MemoryFacts {
  /** What `process.constrainedMemory()` says of the cgroup (v1 or v2): 0 or a number beyond the machine = no limit. */
  readonly constrainedBytes: number;
  /** The machine's memory. */
  readonly totalBytes: number;
}

/** The container's limit; undefined where there is none. */
export function memoryLimit({ constrainedBytes, totalBytes }: MemoryFacts): number | undefined {
  return constrainedBytes > 0 && constrainedBytes < totalBytes ? constrainedBytes : undefined;
}

/** Half of the limit: the other half is V8's heap, sockets, and what the kernel charges for them. */
export function defaultBudget(facts: MemoryFacts): number {
  const limitBytes = memoryLimit(facts);
  return limitBytes === undefined ? UNLIMITED_BUDGET_BYTES : Math.floor(limitBytes / 2);
}
