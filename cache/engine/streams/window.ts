/**
 * A stream through a few pooled segments: a source (cachestore or peer) writes into it as a sink, one reader takes
 * pieces out, and the source pauses while all segments are full or still being written to the reader's socket.
 */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { BlockVerifier } from './block-verifier.ts';
import type { Lease, Segment } from '#cache/engine/memory/lease.ts';
import { MIN_PIECE_BYTES, pieceOf, type Piece, type Source } from '#cache/engine/memory/piece.ts';
import type { ByteSink } from '#cache/engine/ports.ts';

/** Wide enough to keep a fast store busy while a socket drains; more only while memory is plenty. */
const MAX_SEGMENTS = 8;

interface Held {
  readonly segment: Segment;
  /** Chunk offset of its first byte. */
  readonly start: number;
  end: number;
}

export class Window implements ByteSink {
  readonly #lease: Lease;
  readonly #range: ByteRange;
  readonly #source: Source;
  readonly #held: Held[] = [];
  #verifier: BlockVerifier | undefined;
  /** Chunk offsets: written by the source, released by the verifier, taken by the reader. */
  #written: number;
  #ready: number;
  #taken: number;
  #finished = false;
  #failure: unknown;
  #resume: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #onBad: (error: unknown) => void = () => {};

  constructor(lease: Lease, range: ByteRange, source: Source) {
    this.#lease = lease;
    this.#range = range;
    this.#source = source;
    this.#written = this.#ready = this.#taken = range.from;
    lease.onRoom(() => this.#callResume());
  }

  /** From here on, blocks are checked; `onBad` is told of a wrong one, to end the source. */
  verify(metadata: ChunkMetadata, onBad: (error: unknown) => void): void {
    this.#verifier = new BlockVerifier(metadata, this.#range);
    this.#onBad = onBad;
  }

  space(): Uint8Array | undefined {
    const left = this.#range.to - this.#written;
    if (left <= 0) return undefined;
    let held = this.#held.at(-1);
    if (held === undefined || held.end - held.start === held.segment.bytes.length) {
      const segment = this.#takeSegment();
      if (segment === undefined) return undefined;
      held = { segment, start: this.#written, end: this.#written };
      this.#held.push(held);
    }
    const used = held.end - held.start;
    return held.segment.bytes.subarray(used, Math.min(used + left, held.segment.bytes.length));
  }

  filled(lengthBytes: number): void {
    const held = this.#held.at(-1);
    if (held === undefined) throw new OrcaError('internal', 'bytes arrived where there was no space');
    const used = held.end - held.start;
    held.end += lengthBytes;
    this.#written += lengthBytes;
    try {
      this.#ready = this.#verifier?.take(held.segment.bytes.subarray(used, used + lengthBytes)) ?? this.#written;
    } catch (error) {
      this.finish(error);
      this.#onBad(error);
      return;
    }
    this.#callWake();
  }

  onSpace(resume: () => void): void {
    this.#resume = resume;
  }

  /** The source has ended, well or with an error; what was released before stays readable. */
  finish(error?: unknown): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#failure = error ?? this.#shortfall();
    this.#callWake();
  }

  /** The next piece; undefined at the end of the range. Rejects with the source's error once good bytes are taken. */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      const piece = this.#piece();
      if (piece !== undefined) return piece;
      if (this.#taken >= this.#range.to) return undefined;
      if (this.#finished) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Gives everything back; pieces that are out follow as they are released. */
  close(): void {
    this.finish();
    // The source may have ended well: what the reader has not taken is gone all the same.
    if (this.#taken < this.#range.to) this.#failure = new OrcaError('cancelled', 'the reader has gone');
    for (const { segment } of this.#held.splice(0)) segment.release();
    this.#lease.close();
  }

  #piece(): Piece | undefined {
    const held = this.#held[0];
    if (held === undefined) return undefined;
    const to = Math.min(held.end, this.#ready);
    const length = to - this.#taken;
    if (length <= 0) return undefined;
    const full = held.end - held.start === held.segment.bytes.length && to === held.end;
    const last = to === this.#range.to || this.#finished;
    const first = this.#taken === this.#range.from;
    if (length < MIN_PIECE_BYTES && !full && !last && !first) return undefined;
    const piece = pieceOf(held.segment, this.#taken - held.start, to - held.start, this.#source);
    this.#taken = to;
    if (full || to === this.#range.to) {
      this.#held.shift();
      held.segment.release();
    }
    return piece;
  }

  #takeSegment(): Segment | undefined {
    const segment = this.#lease.take();
    if (segment !== undefined || this.#lease.capacity >= MAX_SEGMENTS) return segment;
    return this.#lease.grow() ? this.#lease.take() : undefined;
  }

  #shortfall(): unknown {
    if (this.#written >= this.#range.to) return undefined;
    return new OrcaError('internal', `a source ended at ${this.#written} of [${this.#range.from}, ${this.#range.to})`);
  }

  #callResume(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  #callWake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
