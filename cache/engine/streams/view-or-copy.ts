/**
 * Bytes of a chunk in memory on their way to one reader. A view keeps its whole segment for as long as the reader's
 * socket takes, also when the chunk has gone: fine for who reads fast from a pool with room. Else they are copied into a
 * small segment, so that two hundred slow sockets hold a few MiB and not two hundred.
 */
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Pace } from './reader-pace.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';

export type HandOut = (bytes: ChunkBytes, from: number, to: number, source: Source) => Piece;

export const asView: HandOut = (bytes, from, to, source) => bytes.piece(from, to, source);

export function handOutOf(memory: ChunkMemory, pace: Pace | undefined): HandOut {
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
