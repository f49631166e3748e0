/** Source: the memory tier. The one way in which chunks are read from it. */
import type { ChunkPath } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { viewOrCopy, type MakePiece } from '#cache/engine/streams/view-or-copy.ts';
import {
  remaining,
  type ChunkRead,
  type Cursor,
  type FetchContext,
  type Pieces,
  type SourceOutcome,
} from './context.ts';

/** The first piece of `[from, to)`, which may be shorter; undefined where the chunk is not in memory (any more). */
export function memoryPiece(
  memoryTier: MemoryTier,
  path: ChunkPath,
  { from, to }: ByteRange,
  makePiece: MakePiece,
): Piece | undefined {
  const bytes = memoryTier.get(path);
  return bytes === undefined ? undefined : makePiece(bytes, from, to, 'memory');
}

export async function* fromMemory(context: FetchContext, read: ChunkRead, cursor: Cursor): Pieces<SourceOutcome> {
  const makePiece = viewOrCopy(context.memory, read.pace);
  while (cursor.at < read.range.to) {
    const piece = memoryPiece(context.memoryTier, read.chunk.path, remaining(read, cursor), makePiece);
    // Evicted since the last piece: the next source continues at the cursor.
    if (piece === undefined) return 'missing';
    cursor.at += piece.bytes.length;
    yield piece;
  }
  return 'done';
}
