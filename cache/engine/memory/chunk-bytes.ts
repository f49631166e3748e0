/**
 * A chunk's bytes in leased segments: filled once, then read, and kept by the memory tier. Dropping it releases the
 * segments; pieces that a socket still writes keep theirs.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Lease, Segment } from './lease.ts';
import { pieceOf, type Piece, type Source } from './piece.ts';

export class ChunkBytes {
  readonly lengthBytes: number;
  readonly #lease: Lease;
  readonly #segments: readonly Segment[];
  readonly #onDrop: () => void;
  #dropped = false;

  /** Takes over the whole lease and its segments. `onDrop` is called when the bytes are dropped. */
  constructor(lease: Lease, lengthBytes: number, onDrop: () => void = () => {}) {
    this.lengthBytes = lengthBytes;
    this.#lease = lease;
    this.#onDrop = onDrop;
    this.#segments = takeAll(lease, lengthBytes);
  }

  get sizeBytes(): number {
    return this.#segments.length * this.#lease.segmentBytes;
  }

  get isDropped(): boolean {
    return this.#dropped;
  }

  /** A writable or readable view from `from` up to `to` or the end of the segment, whichever comes first. */
  view(from: number, to: number): Uint8Array {
    const { segment, start, end } = this.#locate(from, to);
    return segment.bytes.subarray(start, end);
  }

  piece(from: number, to: number, source: Source): Piece {
    const { segment, start, end } = this.#locate(from, to);
    return pieceOf(segment, start, end, source);
  }

  /** Keeps the segment with the byte at `offset` until the returned function is called, even if the bytes are dropped. */
  keep(offset: number): () => void {
    const { segment } = this.#locate(offset, offset + 1);
    segment.retain();
    return () => segment.release();
  }

  /** Copies bytes from `from` on into `target`, at most to the end of one segment; returns how many. */
  copyTo(from: number, target: Uint8Array): number {
    const source = this.view(from, Math.min(from + target.length, this.lengthBytes));
    target.set(source);
    return source.length;
  }

  /** All bytes in order, as views that stay valid until `drop`. */
  pieces(): Uint8Array[] {
    const views: Uint8Array[] = [];
    for (let at = 0; at < this.lengthBytes; at += this.#lease.segmentBytes) views.push(this.view(at, this.lengthBytes));
    return views;
  }

  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    for (const segment of this.#segments) segment.release();
    this.#lease.close();
    this.#onDrop();
  }

  #locate(from: number, to: number): { segment: Segment; start: number; end: number } {
    const size = this.#lease.segmentBytes;
    const segment = this.#segments[Math.floor(from / size)];
    if (this.#dropped || segment === undefined)
      throw new OrcaError('internal', 'read of a chunk that is not in memory');
    const start = from % size;
    return { segment, start, end: Math.min(start + (to - from), size) };
  }
}

function takeAll(lease: Lease, lengthBytes: number): Segment[] {
  return Array.from({ length: Math.ceil(lengthBytes / lease.segmentBytes) }, () => {
    const segment = lease.take();
    if (segment === undefined) throw new OrcaError('internal', 'a lease is smaller than its chunk');
    return segment;
  });
}
