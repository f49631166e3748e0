/**
 * A chunk's bytes as they arrive in memory, and one reader's way through them: from its own offset, at its own pace, and
 * never holding up the source.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { HandOut } from './view-or-copy.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { MIN_PIECE_BYTES, type Piece, type Source } from '#cache/engine/memory/piece.ts';

/** `[from, to)` of the chunk; `[from, at)` has arrived. */
export interface Run extends ByteRange {
  readonly at: number;
}

/** What a reader needs of what it reads along with. */
export interface Arriving {
  readonly source: Source;
  readonly bytes: ChunkBytes | undefined;
  /** How far one may read from `offset` without a gap; `offset` itself if nothing is there yet. */
  availableTo(offset: number): number;
  throwIfFailed(): void;
}

export interface ReadAlong {
  readonly range: ByteRange;
  readonly signal: AbortSignal;
  readonly handOut: HandOut;
  readonly onClose: () => void;
}

export class ArrivingReader {
  protected readonly signal: AbortSignal;
  readonly #arriving: Arriving;
  readonly #range: ByteRange;
  readonly #handOut: HandOut;
  readonly #onClose: () => void;
  #at: number;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(arriving: Arriving, { range, signal, handOut, onClose }: ReadAlong) {
    this.#arriving = arriving;
    this.#range = range;
    this.signal = signal;
    this.#handOut = handOut;
    this.#onClose = onClose;
    this.#at = range.from;
    signal.addEventListener('abort', this.wake, { once: true });
  }

  /**
   * The next piece; undefined at the end. Rejects with the failure of what it reads along with once the good bytes are
   * taken, with `chunk_missing` where they have left memory since, and with `cancelled` once it is closed.
   */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      if (this.#at >= this.#range.to) return undefined;
      this.signal.throwIfAborted();
      if (this.#isClosed) throw new OrcaError('cancelled', 'the reader has gone');
      const to = Math.min(this.#arriving.availableTo(this.#at), this.#range.to);
      if (this.#isWorthTaking(to)) return this.#take(to);
      this.#arriving.throwIfFailed();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  wants({ from, to }: ByteRange): boolean {
    return from < this.#range.to && to > this.#at;
  }

  /** More of `run` is there. */
  notice({ from, to, at }: Run): void {
    if (this.#wake === undefined || this.#at < from || this.#at >= to) return;
    if (this.#isWorthTaking(Math.min(at, this.#range.to))) this.wake();
  }

  wake = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };

  close(): void {
    this.#isClosed = true;
    this.signal.removeEventListener('abort', this.wake);
    this.#onClose();
    this.wake();
  }

  #isWorthTaking(to: number): boolean {
    const length = to - this.#at;
    if (length <= 0) return false;
    const isFirst = this.#at === this.#range.from;
    return isFirst || length >= MIN_PIECE_BYTES || to === this.#range.to || to % SEGMENT_BYTES === 0;
  }

  #take(to: number): Piece {
    const { bytes, source } = this.#arriving;
    if (bytes === undefined) throw new OrcaError('internal', 'bytes have arrived before there was memory for them');
    // Dropped under memory pressure after its end: the cachestore has it, and the ladder goes on from there.
    if (bytes.isDropped) throw new OrcaError('chunk_missing', 'the chunk has left memory');
    const piece = this.#handOut(bytes, this.#at, to, source);
    this.#at += piece.bytes.length;
    return piece;
  }
}
