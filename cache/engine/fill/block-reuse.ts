/** Blocks that sparse reads have fetched are copied into a fill, not fetched again. */
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { BlockRun, HeldRun, BlockTable } from './block-table.ts';
import type { FillPart } from './flight.ts';

/** Copies the blocks at the part's beginning that are in memory; returns the number of bytes. */
export function copyHeld(table: BlockTable, path: ChunkPath, part: FillPart, bytes: ChunkBytes): number {
  const from = part.at;
  for (let run = table.runAt(path, part.at); part.at < part.to && isHeld(run); run = table.runAt(path, part.at))
    part.at += run.bytes.copyTo(part.at - run.from, bytes.view(part.at, Math.min(part.to, run.to)));
  return part.at - from;
}

/** The end of the range that must be fetched: the part's end, or the start of the blocks in memory (mostly footers). */
export function missingTo(table: BlockTable, path: ChunkPath, part: FillPart): number {
  let to = part.to;
  for (let run = table.runAt(path, to - 1); to > part.at && isHeld(run); run = table.runAt(path, to - 1)) to = run.from;
  return Math.max(to, part.at);
}

export function isArriving(run: BlockRun | HeldRun | undefined): run is BlockRun {
  return run !== undefined && 'flight' in run;
}

function isHeld(run: BlockRun | HeldRun | undefined): run is HeldRun {
  return run !== undefined && 'bytes' in run;
}
