/** One reader's way through a stream that many read: from its own offset, at its own pace, as long as the stream has it. */
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkRead } from '#cache/engine/fetch/cursor.ts';
import { SEGMENT_BYTES, type Segment } from '#cache/engine/memory/lease.ts';
import { MIN_PIECE_BYTES, type Piece, type Source } from '#cache/engine/memory/piece.ts';
import type { FillAnswer } from '#cache/engine/ports.ts';

/** On their way to its socket: what a reader of its own window would have, so that a slow one keeps no more from others. */
const MAX_UNRELEASED_BYTES = 2 * SEGMENT_BYTES;

/** A segment of a window, as far as it is written. */
export interface Held {
  readonly segment: Segment;
  /** Chunk offsets. */
  readonly start: number;
  end: number;
}

/** How a stream ended: with an answer other than all of its bytes, or not well. */
export type End = { readonly answer: FillAnswer } | { readonly error: unknown };

/** What a reader needs of its stream. */
export interface Shared {
  readonly source: Source;
  readonly end: End | undefined;
  find(offset: number): Held | undefined;
  /** The reader waits for bytes, or does no longer. */
  waits(reader: InboundReader, isWaiting: boolean): void;
  /** The reader has come to `offset`; `isWhole`: with that it is through with a segment. */
  advanced(offset: number, isWhole: boolean): void;
  leave(reader: InboundReader): void;
}

/** In whose name it is read. */
export type InboundRead = Pick<ChunkRead, 'demand' | 'requestId' | 'signal'>;

export class InboundReader {
  readonly read: InboundRead;
  readonly #shared: Shared;
  readonly #range: ByteRange;
  #at: number;
  #unreleasedBytes = 0;
  #isPassed = false;
  #wake: (() => void) | undefined;

  constructor(shared: Shared, range: ByteRange, read: InboundRead) {
    this.#shared = shared;
    this.#range = range;
    this.read = read;
    this.#at = range.from;
    read.signal.addEventListener('abort', this.wake, { once: true });
  }

  get at(): number {
    return this.#at;
  }

  /** What the peer said instead of the rest of the bytes; undefined where the reader was left behind. */
  get answer(): FillAnswer | undefined {
    const { end } = this.#shared;
    return this.#isPassed || end === undefined || 'error' in end ? undefined : end.answer;
  }

  /**
   * The next piece; undefined at the end, and before it where the stream has passed the reader by or the peer has given
   * an `answer`. Rejects with the stream's error once the good bytes are taken.
   */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      this.read.signal.throwIfAborted();
      if (this.#isPassed || this.#at >= this.#range.to) return undefined;
      if (this.#unreleasedBytes < MAX_UNRELEASED_BYTES) {
        const held = this.#shared.find(this.#at);
        const { end } = this.#shared;
        if (held !== undefined && this.#isWorthTaking(held)) return this.#take(held);
        if (end !== undefined) {
          if ('error' in end) throw end.error;
          return undefined;
        }
      }
      this.#shared.waits(this, true);
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#shared.waits(this, false);
    }
  }

  /** There is more in `held`. */
  notice(held: Held): void {
    if (this.#at >= held.start && this.#at < held.end && this.#isWorthTaking(held)) this.wake();
  }

  /** The stream goes on without it. */
  pass(): void {
    this.#isPassed = true;
    this.#shared.leave(this);
    this.wake();
  }

  wake = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };

  close(): void {
    this.read.signal.removeEventListener('abort', this.wake);
    this.#shared.leave(this);
  }

  #isWorthTaking({ segment, start, end }: Held): boolean {
    const to = Math.min(end, this.#range.to);
    const isFirst = this.#at === this.#range.from;
    const isLast = to === this.#range.to || this.#shared.end !== undefined;
    return isFirst || isLast || to - this.#at >= MIN_PIECE_BYTES || end - start === segment.bytes.length;
  }

  #take({ segment, start, end }: Held): Piece {
    const from = this.#at;
    const to = Math.min(end, this.#range.to);
    segment.retain();
    this.#at = to;
    this.#unreleasedBytes += to - from;
    this.#shared.advanced(to, end - start === segment.bytes.length && to === end);
    return {
      bytes: segment.bytes.subarray(from - start, to - start),
      source: this.#shared.source,
      release: () => {
        segment.release();
        const wasFull = this.#unreleasedBytes >= MAX_UNRELEASED_BYTES;
        this.#unreleasedBytes -= to - from;
        if (wasFull) this.wake();
      },
    };
  }
}
