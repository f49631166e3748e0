/**
 * A stream through a few pooled segments: a source (the cachestore or a peer) writes into it as a sink, readers take
 * pieces out, and the source pauses while there is no free segment (backpressure).
 *
 * A window has one reader (a ranged cachestore read) or is shared by many (a stream from a peer). A shared window
 * follows its fastest reader and keeps a few segments for slower readers; a reader that it passes continues elsewhere.
 */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES, type Lease, type Segment } from '#cache/engine/memory/lease.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { ByteSink } from '#cache/engine/ports.ts';
import { BlockVerifier } from './block-verifier.ts';
import { StreamReader, type ReadableWindow, type StreamEnd, type StreamRead } from './stream-reader.ts';
import { WindowSegments, type Held } from './window-segments.ts';

/** The segments of a shared window: two for the fastest reader, two for slower ones. */
export const SHARED_SEGMENTS = 4;
/** How far a shared window reads ahead: one segment coming in, one going out. More would be taken from slow readers. */
const AHEAD_SEGMENTS = 2;
/** While memory is plentiful: a chunk of the default size, so that no reader falls behind and the store stays busy. */
const MAX_SEGMENTS = 8;

export interface StreamWindowOptions {
  readonly memory: ChunkMemory;
  readonly range: ByteRange;
  readonly source: Source;
  readonly isShared: boolean;
  /** Called when the last reader has left: ends the source. */
  readonly onEmpty: () => void;
}

export class StreamWindow implements ByteSink, ReadableWindow {
  readonly range: ByteRange;
  readonly isShared: boolean;
  /** Where the bytes come from; a peer reports it before the first of them. */
  source: Source;
  readonly #memory: ChunkMemory;
  readonly #onEmpty: () => void;
  readonly #segments: WindowSegments;
  readonly #readers = new Set<StreamReader>();
  /** The readers that wait for bytes. */
  readonly #waiting = new Set<StreamReader>();
  #verifier: BlockVerifier | undefined;
  #onBad: (error: unknown) => void = () => {};
  /** The offset of the fastest reader; undefined = not known since that reader left. */
  #front: number | undefined;
  #end: StreamEnd | undefined;
  #resume: (() => void) | undefined;
  #isChoosing = false;

  constructor({ memory, range, source, isShared, onEmpty }: StreamWindowOptions) {
    this.#memory = memory;
    this.range = range;
    this.source = source;
    this.isShared = isShared;
    this.#segments = new WindowSegments(range.from);
    this.#onEmpty = onEmpty;
  }

  /** The lease that segments are taken from; the source has no room before. */
  open(lease: Lease): void {
    this.#segments.open(lease);
    lease.onRoom(() => {
      if (this.#resume !== undefined) this.#callResume();
      else if (this.isShared && !this.#isChoosing) lease.trim(SHARED_SEGMENTS);
    });
  }

  /**
   * From here on, blocks are held back until their CRC is checked; `onBad` is called with a mismatch, and at once with
   * blocks that do not fit into the window: the source would wait for room and the reader for bytes, forever.
   */
  verify(metadata: ChunkMetadata, onBad: (error: unknown) => void): void {
    const { blockSizeBytes } = metadata;
    if (!this.#segments.holdsBlock(blockSizeBytes, this.range.to - this.range.from)) {
      const error = new OrcaError('chunk_bad', `blocks of ${blockSizeBytes} bytes do not fit into a stream's memory`);
      this.finish({ error });
      onBad(error);
      return;
    }
    this.#verifier = new BlockVerifier(metadata, this.range);
    this.#onBad = onBad;
  }

  get isOpen(): boolean {
    return this.#segments.isOpen;
  }

  get writtenTo(): number {
    return this.#segments.writtenTo;
  }

  get end(): StreamEnd | undefined {
    return this.#end;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** The request on whose behalf the source is read: one whose response has started, if there is any. */
  get requester(): StreamRead | undefined {
    const reads = [...this.#readers].map(({ read }) => read);
    return reads.find(({ demand }) => demand === 'started') ?? reads[0];
  }

  /** Whether a reader of `range` finds its first byte in the window, or soon, and the window reaches its last byte. */
  covers({ from, to }: ByteRange): boolean {
    const soonAt = this.writtenTo + AHEAD_SEGMENTS * SEGMENT_BYTES;
    return from >= this.#segments.start && from <= soonAt && to <= this.range.to;
  }

  /** Whether a reader of `range` could have had all of it from here, had it come earlier. */
  hasPassed({ from, to }: ByteRange): boolean {
    return from >= this.range.from && from < this.#segments.start && to <= this.range.to;
  }

  join(range: ByteRange, read: StreamRead): StreamReader {
    const reader = new StreamReader(this, range, read);
    this.#readers.add(reader);
    this.#moveFront(range.from);
    this.#callResume();
    return reader;
  }

  space(): Uint8Array | undefined {
    return this.#segments.room(this.range.to, this.#nextSegment);
  }

  filled(lengthBytes: number): void {
    const held = this.#segments.wrote(lengthBytes);
    if (this.#verifier === undefined) {
      held.readyTo = held.writtenTo;
      this.#notify(held);
      return;
    }
    const writtenBytes = held.writtenTo - held.start;
    try {
      const written = held.segment.bytes.subarray(writtenBytes - lengthBytes, writtenBytes);
      this.#segments.release(this.#verifier.take(written), this.#notify);
    } catch (error) {
      this.finish({ error });
      this.#onBad(error);
    }
  }

  onSpace(resume: () => void): void {
    this.#resume = resume;
  }

  keep(): () => void {
    return this.#segments.keepLast();
  }

  /** The source has ended; what is in the window stays readable. The first end counts. */
  finish(end: StreamEnd): void {
    this.#segments.sourceEnded();
    if (this.#end !== undefined) return;
    const { writtenTo, range } = this;
    const isShort = 'answer' in end && end.answer.kind === 'bytes' && writtenTo < range.to;
    this.#end = isShort ? { error: new OrcaError('internal', `a source ended at ${writtenTo} of ${range.to}`) } : end;
    // The reader that is furthest behind first: the stream that it opens to read on serves the others too.
    for (const reader of [...this.#waiting].toSorted((a, b) => a.at - b.at)) reader.wake();
  }

  find(offset: number): Held | undefined {
    return this.#segments.find(offset);
  }

  setWaiting(reader: StreamReader, isWaiting: boolean): void {
    if (isWaiting) this.#waiting.add(reader);
    else this.#waiting.delete(reader);
  }

  advanced(offset: number, isWhole: boolean): void {
    if (offset <= this.#frontAt()) return;
    this.#moveFront(offset);
    if (!this.isShared) this.#segments.dropBefore(offset);
    // Only another whole segment behind the fastest reader frees a segment.
    else if (isWhole) this.#callResume();
  }

  leave(reader: StreamReader): void {
    this.#waiting.delete(reader);
    if (!this.#readers.delete(reader)) return;
    if (reader.at === this.#front) this.#front = undefined;
    if (this.#readers.size > 0) return;
    this.#segments.close(this.#end !== undefined);
    this.#onEmpty();
  }

  /** `held` has more bytes ready. */
  readonly #notify = (held: Held): void => {
    for (const reader of this.#waiting) reader.notice(held);
  };

  readonly #nextSegment = (lease: Lease): Segment | undefined => {
    this.#isChoosing = true;
    const segment = this.isShared ? this.#nextShared(lease) : this.#nextOwn(lease);
    this.#isChoosing = false;
    return segment;
  };

  /** With a single reader, segments that it has read, or that lie before its range, are not kept. */
  #nextOwn(lease: Lease): Segment | undefined {
    this.#segments.dropBefore(this.#frontAt());
    const segment = lease.take();
    if (segment !== undefined || lease.capacity >= MAX_SEGMENTS) return segment;
    return lease.grow() ? lease.take() : undefined;
  }

  #nextShared(lease: Lease): Segment | undefined {
    const segments = this.#segments;
    const front = this.#frontAt();
    const isPassed = () => segments.oldest !== undefined && segments.oldest.writtenTo <= front;
    const most = this.#memory.isRelaxed ? MAX_SEGMENTS : SHARED_SEGMENTS;
    while (segments.count >= SHARED_SEGMENTS && isPassed() && (segments.count >= most || !this.#isWanted()))
      this.#drop();
    // Where everything that is left fits in, nothing has to be kept free.
    const fits = this.range.to - segments.start <= lease.capacity * lease.segmentBytes;
    const isFar = !fits && segments.countBeyond(front) >= AHEAD_SEGMENTS;
    if (segments.count >= most || (isFar && !this.#memory.isRelaxed)) return undefined;
    if (lease.isOut && !lease.grow() && !isFar) {
      // Slow sockets hold segments that the window has passed. They must not hold up the fastest reader: it gets more
      // memory, or the segments that are kept for the readers behind it.
      if (!lease.extend()) while (lease.isOut && isPassed()) this.#drop();
    }
    return lease.take();
  }

  /** Whether a reader still needs the oldest segment. */
  #isWanted(): boolean {
    const oldestTo = this.#segments.oldest?.writtenTo ?? 0;
    for (const reader of this.#readers) if (reader.at < oldestTo) return true;
    return false;
  }

  #drop(): void {
    this.#segments.dropOldest();
    // A passed reader leaves now, not when it next asks: that may take long, and it may be the last one.
    for (const reader of this.#readers) if (reader.at < this.#segments.start) reader.pass();
  }

  #frontAt(): number {
    if (this.#front === undefined) {
      this.#front = this.range.from;
      for (const { at } of this.#readers) this.#front = Math.max(this.#front, at);
    }
    return this.#front;
  }

  #moveFront(offset: number): void {
    this.#front = Math.max(this.#frontAt(), offset);
  }

  #callResume(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }
}
