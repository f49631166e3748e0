/** What sparse reads have brought of a part that is to be filled: copied, not asked of the origin again. */
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { FillPart } from './flight.ts';
import type { BlockRun, HeldRun, BlockTable } from './block-table.ts';

/** Moves the part on as far as its beginning is here; returns by how many bytes. */
export function copyHeld(table: BlockTable, path: ChunkPath, part: FillPart, bytes: ChunkBytes): number {
  const from = part.at;
  for (let run = table.runAt(path, part.at); part.at < part.to && isHeld(run); run = table.runAt(path, part.at))
    part.at += run.bytes.copyTo(part.at - run.from, bytes.view(part.at, Math.min(part.to, run.to)));
  return part.at - from;
}

/** To where the part has to be asked for: its end, or where that begins which is here. Footers are what is here most. */
export function unheldTo(table: BlockTable, path: ChunkPath, part: FillPart): number {
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
