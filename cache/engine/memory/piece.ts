/** Bytes on their way to a socket: a view of a pooled segment, valid until it is released. */
import type { Segment } from './lease.ts';

/** `peer`: another replica had it; `peer_fill`: another replica's fill, as `fill` is one of our own. */
export type Source = 'memory' | 'store' | 'peer' | 'peer_fill' | 'fill';

export interface Piece {
  readonly bytes: Uint8Array;
  readonly source: Source;
  /** Exactly once, when nobody reads `bytes` any more. */
  release(): void;
}

/** Pieces smaller than this wait for more, but for the first and the last of a stream: each costs a write. */
export const MIN_PIECE_BYTES = 64 * 1024;

export function pieceOf(segment: Segment, from: number, to: number, source: Source): Piece {
  segment.retain();
  return { bytes: segment.bytes.subarray(from, to), source, release: () => segment.release() };
}
