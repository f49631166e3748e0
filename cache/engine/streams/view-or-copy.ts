/**
 * Pieces of a chunk in memory for one reader: a view, or a copy. A view keeps its whole segment for as long as the
 * reader's socket takes, even after the chunk was evicted. That is fine for a fast reader while memory is plentiful.
 * Otherwise the bytes are copied into a small segment: two hundred slow sockets then hold a few MiB, not two hundred.
 */
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { Pace } from './reader-pace.ts';

/** Makes the piece `[from, to)`, or its beginning: a piece does not cross a segment. */
export type MakePiece = (bytes: ChunkBytes, from: number, to: number, source: Source) => Piece;

export const asView: MakePiece = (bytes, from, to, source) => bytes.piece(from, to, source);

export function viewOrCopy(memory: ChunkMemory, pace: Pace | undefined): MakePiece {
  return (bytes, from, to, source) => {
    if (memory.isRelaxed && pace?.isSlow !== true) return bytes.piece(from, to, source);
    const view = bytes.view(from, Math.min(to, from + SMALL_SEGMENT_BYTES));
    const lease = memory.leaseSmall();
    const segment = lease?.take();
    if (lease === undefined || segment === undefined) return bytes.piece(from, from + view.length, source);
    segment.bytes.set(view);
    return {
      bytes: segment.bytes.subarray(0, view.length),
      source,
      release() {
        segment.release();
        lease.close();
      },
    };
  };
}
