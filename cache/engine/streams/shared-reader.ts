/**
 * One reader of a chunk that is arriving in memory (a fill or a cachestore load): it reads its own range, from its own
 * offset and at its own pace, and never slows the source down.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { isWorthTaking, type Piece, type Source } from '#cache/engine/memory/piece.ts';
import type { MakePiece } from './view-or-copy.ts';
import { Waiter } from './waiter.ts';

/** `[from, to)` of the chunk, of which `[from, at)` has arrived. */
export interface ArrivingRange extends ByteRange {
  readonly at: number;
}

/** What a reader needs of the chunk that is arriving. */
export interface ArrivingChunk {
  readonly source: Source;
  readonly bytes: ChunkBytes | undefined;
  /** How far a reader may read from `offset` without a gap; `offset` itself if nothing is there yet. */
  availableTo(offset: number): number;
  throwIfFailed(): void;
}

export interface SharedRead {
  readonly range: ByteRange;
  readonly signal: AbortSignal;
  readonly makePiece: MakePiece;
  readonly onClose: () => void;
}

export class SharedReader {
  protected readonly signal: AbortSignal;
  readonly #chunk: ArrivingChunk;
  readonly #range: ByteRange;
  readonly #makePiece: MakePiece;
  readonly #onClose: () => void;
  readonly #waiter = new Waiter();
  #at: number;
  #state: 'open' | 'passed' | 'closed' = 'open';

  constructor(chunk: ArrivingChunk, { range, signal, makePiece, onClose }: SharedRead) {
    this.#chunk = chunk;
    this.#range = range;
    this.signal = signal;
    this.#makePiece = makePiece;
    this.#onClose = onClose;
    this.#at = range.from;
    signal.addEventListener('abort', this.wake, { once: true });
  }

  /**
   * The next piece; undefined at the end of the range, and before it once the reader was passed. Rejects with the
   * source's failure after the good bytes were taken, with `chunk_missing` where the chunk was evicted since, and with
   * `cancelled` once the reader is closed.
   */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      if (this.#at >= this.#range.to) return undefined;
      this.signal.throwIfAborted();
      if (this.#state === 'passed') return undefined;
      if (this.#state === 'closed') throw new OrcaError('cancelled', 'the reader is closed');
      const to = Math.min(this.#chunk.availableTo(this.#at), this.#range.to);
      if (this.#isWorthTaking(to)) return this.#take(to);
      this.#chunk.throwIfFailed();
      await this.#waiter.wait();
    }
  }

  wants({ from, to }: ByteRange): boolean {
    return from < this.#range.to && to > this.#at;
  }

  /** More of `arriving` has arrived. */
  notice({ from, to, at }: ArrivingRange): void {
    if (!this.#waiter.isWaiting || this.#at < from || this.#at >= to) return;
    if (this.#isWorthTaking(Math.min(at, this.#range.to))) this.wake();
  }

  wake = (): void => this.#waiter.wake();

  /** Ends this reader early, at the offset it has reached: the source continues without it. */
  pass(): void {
    this.#leave('passed');
  }

  close(): void {
    this.#leave('closed');
  }

  #leave(state: 'passed' | 'closed'): void {
    if (this.#state === 'open') this.#state = state;
    this.signal.removeEventListener('abort', this.wake);
    this.#onClose();
    this.wake();
  }

  #isWorthTaking(to: number): boolean {
    return isWorthTaking(to - this.#at, {
      isFirst: this.#at === this.#range.from,
      isLast: to === this.#range.to,
      endsSegment: to % SEGMENT_BYTES === 0,
    });
  }

  #take(to: number): Piece {
    const { bytes, source } = this.#chunk;
    if (bytes === undefined) throw new OrcaError('internal', 'bytes arrived before there was memory for them');
    // Evicted under memory pressure after its end: the next source reads the chunk from the cachestore.
    if (bytes.isDropped) throw new OrcaError('chunk_missing', 'the chunk was evicted from memory');
    const piece = this.#makePiece(bytes, this.#at, to, source);
    this.#at += piece.bytes.length;
    return piece;
  }
}
