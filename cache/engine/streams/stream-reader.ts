/**
 * One reader of a stream window: it reads its own range, from its own offset and at its own pace, for as long as the
 * window holds the bytes.
 */
import type { ByteRange } from '#cache/core/object.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { isWorthTaking, type Piece, type Source } from '#cache/engine/memory/piece.ts';
import type { Demand, FillAnswer } from '#cache/engine/ports.ts';
import { Waiter } from './waiter.ts';
import type { Held } from './window-segments.ts';

/**
 * How many bytes of a shared window one reader may hold until its socket has taken them: two segments, as a window of
 * its own would allow, so that a slow reader keeps no more than that from other readers.
 */
const MAX_UNRELEASED_BYTES = 2 * SEGMENT_BYTES;

/** How a stream ended: with the peer's or the cachestore's answer, or with an error. */
export type StreamEnd = { readonly answer: FillAnswer } | { readonly error: unknown };

/** What a reader needs of its window. */
export interface ReadableWindow {
  readonly source: Source;
  readonly end: StreamEnd | undefined;
  /** Whether other readers may need the segments that this one holds. */
  readonly isShared: boolean;
  find(offset: number): Held | undefined;
  /** The reader starts or stops waiting for bytes. */
  setWaiting(reader: StreamReader, isWaiting: boolean): void;
  /** The reader has reached `offset`; `isWhole`: and with it the end of a segment. */
  advanced(offset: number, isWhole: boolean): void;
  leave(reader: StreamReader): void;
}

/** The request on whose behalf a stream is read. */
export interface StreamRead {
  readonly demand: Demand | 'ahead';
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export class StreamReader {
  readonly read: StreamRead;
  readonly #window: ReadableWindow;
  readonly #range: ByteRange;
  readonly #waiter = new Waiter();
  #at: number;
  #unreleasedBytes = 0;
  #wasPassed = false;

  constructor(window: ReadableWindow, range: ByteRange, read: StreamRead) {
    this.#window = window;
    this.#range = range;
    this.read = read;
    this.#at = range.from;
    read.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get at(): number {
    return this.#at;
  }

  get source(): Source {
    return this.#window.source;
  }

  /** What the source answered instead of the remaining bytes; undefined where the reader was left behind. */
  get answer(): FillAnswer | undefined {
    const { end } = this.#window;
    return this.#wasPassed || end === undefined || 'error' in end ? undefined : end.answer;
  }

  /**
   * The next piece; undefined at the end of the range, and before it once the reader was passed or the source has given
   * an `answer`. Rejects with the stream's error after the good bytes were taken.
   */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      // First, so that a client that closes its connection after its last byte does not look like a failure.
      if (this.#at >= this.#range.to) return undefined;
      this.read.signal.throwIfAborted();
      if (this.#wasPassed) return undefined;
      if (!this.#window.isShared || this.#unreleasedBytes < MAX_UNRELEASED_BYTES) {
        const held = this.#window.find(this.#at);
        const { end } = this.#window;
        if (held !== undefined && this.#isWorthTaking(held)) return this.#take(held);
        if (end !== undefined) {
          if ('error' in end) throw end.error;
          return undefined;
        }
      }
      this.#window.setWaiting(this, true);
      await this.#waiter.wait();
      this.#window.setWaiting(this, false);
    }
  }

  /** `held` has more bytes. */
  notice(held: Held): void {
    if (this.#at >= held.start && this.#at < held.readyTo && this.#isWorthTaking(held)) this.wake();
  }

  /** Ends this reader early, at the offset it has reached: the stream continues without it. */
  pass(): void {
    this.#wasPassed = true;
    this.#window.leave(this);
    this.wake();
  }

  wake(): void {
    this.#waiter.wake();
  }

  close(): void {
    this.read.signal.removeEventListener('abort', this.#onAbort);
    this.#window.leave(this);
  }

  /** Leaves at once, not with the next call of `next`: until then the source would send bytes that are not read. */
  readonly #onAbort = (): void => {
    this.#window.leave(this);
    this.wake();
  };

  #isWorthTaking({ segment, start, readyTo }: Held): boolean {
    const to = Math.min(readyTo, this.#range.to);
    return isWorthTaking(to - this.#at, {
      isFirst: this.#at === this.#range.from,
      isLast: to === this.#range.to || this.#window.end !== undefined,
      endsSegment: readyTo - start === segment.bytes.length,
    });
  }

  #take({ segment, start, readyTo }: Held): Piece {
    const from = this.#at;
    const to = Math.min(readyTo, this.#range.to);
    segment.retain();
    this.#at = to;
    this.#unreleasedBytes += to - from;
    this.#window.advanced(to, readyTo - start === segment.bytes.length && to === readyTo);
    return {
      bytes: segment.bytes.subarray(from - start, to - start),
      source: this.#window.source,
      release: () => {
        segment.release();
        const wasFull = this.#unreleasedBytes >= MAX_UNRELEASED_BYTES;
        this.#unreleasedBytes -= to - from;
        if (wasFull) this.wake();
      },
    };
  }
}
