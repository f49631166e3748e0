/** Blocks that sparse reads have fetched, or are fetching, are copied into a fill, not fetched again. */
import type { ChunkPath } from '#cache/core/chunk.ts';
import { MIN_REUSED_BYTES, SPARSE_BLOCK_BYTES } from '#cache/core/sparse.ts';
import { abortable } from '#shared/abortable.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { BlockRun, HeldRun, BlockTable } from './block-table.ts';
import type { FillPart } from './flight.ts';

/**
 * Copies the blocks at the part's position into it, and waits for those that are in flight; returns when blocks are
 * missing, or at the part's end. `onReused` is called with the number of bytes.
 */
export async function reuseBlocks(
  table: BlockTable,
  path: ChunkPath,
  part: FillPart,
  bytes: ChunkBytes,
  onReused: (lengthBytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  while (part.at < part.to) {
    const run = usableAt(table, path, part.at);
    if (run === undefined) return;
    if ('flight' in run) {
      // It is as urgent as this fill now, and ends by itself: its slot, its retries and the origin have their limits.
      run.flight.keep();
      await abortable(run.ended, signal);
      continue;
    }
    const from = part.at;
    part.at += run.bytes.copyTo(from - run.from, bytes.view(from, Math.min(part.to, run.to)));
    onReused(part.at - from);
  }
}

/** Where the next request of the part ends: at blocks that are there, if leaving them out is worth another request. */
export function missingTo(table: BlockTable, path: ChunkPath, part: FillPart): number {
  let to = part.at;
  while (to < part.to) {
    const from = to;
    for (let run = usableAt(table, path, to); run !== undefined && to < part.to; run = usableAt(table, path, to))
      to = run.to;
    if (to > from && (to >= part.to || to - from >= MIN_REUSED_BYTES)) return from;
    if (to === from) to = (Math.floor(to / SPARSE_BLOCK_BYTES) + 1) * SPARSE_BLOCK_BYTES;
  }
  return part.to;
}

export function isArriving(run: BlockRun | HeldRun | undefined): run is BlockRun {
  return run !== undefined && 'flight' in run;
}

/** A run that waits for its memory may be waiting for the fill's: the fill does not wait for it. */
function usableAt(table: BlockTable, path: ChunkPath, offset: number): BlockRun | HeldRun | undefined {
  const run = table.runAt(path, offset);
  return isArriving(run) && run.flight.bytes === undefined ? undefined : run;
}
