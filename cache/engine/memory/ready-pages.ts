/**
 * Keeps some memory ready that the kernel has backed with pages. Otherwise each byte of a cold read waits for a page
 * fault of its first use: a quarter of the CPU time of cold reads in a process that has just started.
 */
import type { Clock } from '#cache/engine/ports.ts';
import type { ChunkMemory } from './chunk-memory.ts';

/** A burst of cold reads after the start. It counts as used by the process, but most of the budget does not. */
const READY_BYTES = 256 * 1024 * 1024;
const READY_SHARE = 1 / 4;
/** A segment takes about half a millisecond: a tenth of a core until all is ready. */
const TOUCH_EVERY_MS = 5;
/** While all is ready. */
const CHECK_EVERY_MS = 250;

/** Runs until the signal aborts. Once all memory has been in use there is nothing to do any more. */
export async function keepPagesReady(memory: ChunkMemory, clock: Clock, signal: AbortSignal): Promise<void> {
  const readyBytes = Math.min(READY_BYTES, memory.budgetBytes * READY_SHARE);
  while (!signal.aborted) {
    const pauseMs = memory.touch(readyBytes) ? TOUCH_EVERY_MS : CHECK_EVERY_MS;
    await clock.sleep(pauseMs, signal).catch(() => {});
  }
}
