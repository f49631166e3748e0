/** Bytes for a client's socket: a view of a pooled segment, valid until it is released. */
import type { Segment } from './lease.ts';

/** `peer`: another replica had the bytes; `peer_fill`: another replica's fill; `fill`: this replica's. */
export type Source = 'memory' | 'store' | 'peer' | 'peer_fill' | 'fill';

export interface Piece {
  readonly bytes: Uint8Array;
  readonly source: Source;
  /** Called exactly once, when `bytes` are not read any more. */
  release(): void;
}

/** Smaller pieces wait for more bytes, since each piece costs a socket write. */
const MIN_PIECE_BYTES = 64 * 1024;

/** Whether a reader takes the `lengthBytes` that are there, or waits for more. */
export function isWorthTaking(
  lengthBytes: number,
  at: { readonly isFirst: boolean; readonly isLast: boolean; readonly endsSegment: boolean },
): boolean {
  return lengthBytes > 0 && (lengthBytes >= MIN_PIECE_BYTES || at.isFirst || at.isLast || at.endsSegment);
}

export function pieceOf(segment: Segment, from: number, to: number, source: Source): Piece {
  segment.retain();
  return { bytes: segment.bytes.subarray(from, to), source, release: () => segment.release() };
}
