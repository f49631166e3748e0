/**
 * A stream through a few pooled segments: a source (the cachestore or a peer) writes into it as a sink, readers take
 * pieces out, and the source pauses while there is no free segment.
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
import { StreamReader, type Held, type ReadableWindow, type StreamEnd, type StreamRead } from './stream-reader.ts';

/** The segments of a shared window: two for the fastest reader, two for slower ones. */
export const SHARED_SEGMENTS = 4;
/** How far a shared window reads ahead: one segment coming in, one going out. More would be taken from slower readers. */
const AHEAD_SEGMENTS = 2;
/** While memory is plentiful: a chunk of the default size, so that no reader falls behind, and a busy store stays busy. */
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
  readonly #readers = new Set<StreamReader>();
  /** The readers that wait for bytes. */
  readonly #waiting = new Set<StreamReader>();
  readonly #held: Held[] = [];
  #lease: Lease | undefined;
  #verifier: BlockVerifier | undefined;
  #onBad: (error: unknown) => void = () => {};
  #writtenTo: number;
  /** The offset of the fastest reader; undefined = not known since that reader left. */
  #front: number | undefined;
  #end: StreamEnd | undefined;
  #resume: (() => void) | undefined;
  #isChoosing = false;
  /** The source has memory from `space`, and has not reported it as filled. */
  #isWriting = false;
  /** After the last reader has left: the segment that the source may still write into. */
  #lastWritten: Segment | undefined;

  constructor({ memory, range, source, isShared, onEmpty }: StreamWindowOptions) {
    this.#memory = memory;
    this.range = range;
    this.source = source;
    this.isShared = isShared;
    this.#writtenTo = range.from;
    this.#onEmpty = onEmpty;
  }

  /** The lease that segments are taken from; the source has no room before. */
  open(lease: Lease): void {
    this.#lease = lease;
    lease.onRoom(() => {
      if (this.#resume !== undefined) this.#callResume();
      else if (this.isShared && !this.#isChoosing) lease.trim(SHARED_SEGMENTS);
    });
  }

  /** From here on, blocks are held back until their CRC is checked; `onBad` is called with a mismatch. */
  verify(metadata: ChunkMetadata, onBad: (error: unknown) => void): void {
    this.#verifier = new BlockVerifier(metadata, this.range);
    this.#onBad = onBad;
  }

  get isOpen(): boolean {
    return this.#lease !== undefined;
  }

  get writtenTo(): number {
    return this.#writtenTo;
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
    const soonAt = this.#writtenTo + AHEAD_SEGMENTS * SEGMENT_BYTES;
    return from >= this.#start && from <= soonAt && to <= this.range.to;
  }

  /** Whether a reader of `range` could have had all of it from here, had it come earlier. */
  hasPassed({ from, to }: ByteRange): boolean {
    return from >= this.range.from && from < this.#start && to <= this.range.to;
  }

  join(range: ByteRange, read: StreamRead): StreamReader {
    const reader = new StreamReader(this, range, read);
    this.#readers.add(reader);
    this.#moveFront(range.from);
    this.#callResume();
    return reader;
  }

  space(): Uint8Array | undefined {
    const left = this.range.to - this.#writtenTo;
    if (left <= 0 || this.#lease === undefined) return undefined;
    let held = this.#held.at(-1);
    if (held === undefined || isFull(held)) {
      this.#isChoosing = true;
      const segment = this.isShared ? this.#nextShared(this.#lease) : this.#nextOwn(this.#lease);
      this.#isChoosing = false;
      if (segment === undefined) return undefined;
      held = { segment, start: this.#writtenTo, writtenTo: this.#writtenTo, readyTo: this.#writtenTo };
      this.#held.push(held);
    }
    const used = held.writtenTo - held.start;
    this.#isWriting = true;
    return held.segment.bytes.subarray(used, Math.min(used + left, held.segment.bytes.length));
  }

  filled(lengthBytes: number): void {
    const held = this.#held.at(-1);
    if (held === undefined) throw new OrcaError('internal', 'bytes arrived where there was no space');
    const used = held.writtenTo - held.start;
    this.#isWriting = false;
    held.writtenTo += lengthBytes;
    this.#writtenTo += lengthBytes;
    if (this.#verifier === undefined) {
      held.readyTo = held.writtenTo;
      for (const reader of this.#waiting) reader.notice(held);
      return;
    }
    try {
      this.#release(this.#verifier.take(held.segment.bytes.subarray(used, used + lengthBytes)));
    } catch (error) {
      this.finish({ error });
      this.#onBad(error);
    }
  }

  onSpace(resume: () => void): void {
    this.#resume = resume;
  }

  /** The source has ended; what is in the window stays readable. The first end counts. */
  finish(end: StreamEnd): void {
    this.#lastWritten?.release();
    this.#lastWritten = undefined;
    if (this.#end !== undefined) return;
    const isShort = 'answer' in end && end.answer.kind === 'bytes' && this.#writtenTo < this.range.to;
    this.#end = isShort ? { error: this.#shortfall() } : end;
    // The reader that is furthest behind first: the stream that it opens to read on serves the others too.
    for (const reader of [...this.#waiting].toSorted((a, b) => a.at - b.at)) reader.wake();
  }

  find(offset: number): Held | undefined {
    return this.#held.find(({ start, readyTo }) => offset >= start && offset < readyTo);
  }

  setWaiting(reader: StreamReader, isWaiting: boolean): void {
    if (isWaiting) this.#waiting.add(reader);
    else this.#waiting.delete(reader);
  }

  advanced(offset: number, isWhole: boolean): void {
    if (offset <= this.#frontAt()) return;
    this.#moveFront(offset);
    if (!this.isShared) this.#dropRead();
    // Only another whole segment behind the fastest reader frees a segment.
    else if (isWhole) this.#callResume();
  }

  leave(reader: StreamReader): void {
    this.#waiting.delete(reader);
    if (!this.#readers.delete(reader)) return;
    if (reader.at === this.#front) this.#front = undefined;
    if (this.#readers.size === 0) this.#close();
  }

  /** Releases everything; pieces that a socket still writes keep their segments until they are released. */
  #close(): void {
    // A read of a file cannot be cancelled: until it ends, no other stream may get the memory that it writes into.
    if (this.#isWriting && this.#end === undefined) {
      this.#lastWritten = this.#held.at(-1)?.segment;
      this.#lastWritten?.retain();
    }
    for (const { segment } of this.#held.splice(0)) segment.release();
    this.#lease?.close();
    this.#onEmpty();
  }

  /** Up to `offset` all bytes are verified. */
  #release(offset: number): void {
    for (const held of this.#held) {
      const readyTo = Math.min(held.writtenTo, offset);
      if (readyTo <= held.readyTo) continue;
      held.readyTo = readyTo;
      for (const reader of this.#waiting) reader.notice(held);
    }
  }

  get #start(): number {
    return this.#held[0]?.start ?? this.#writtenTo;
  }

  /** With a single reader, segments that it has read are not kept. */
  #nextOwn(lease: Lease): Segment | undefined {
    this.#dropRead();
    const segment = lease.take();
    if (segment !== undefined || lease.capacity >= MAX_SEGMENTS) return segment;
    return lease.grow() ? lease.take() : undefined;
  }

  /** Releases the segments that the only reader is done with, or that lie before its range. */
  #dropRead(): void {
    const front = this.#frontAt();
    for (let held = this.#held[0]; held !== undefined && isRead(held, front); held = this.#held[0]) {
      this.#held.shift();
      held.segment.release();
    }
  }

  #nextShared(lease: Lease): Segment | undefined {
    const front = this.#frontAt();
    const isPassed = () => this.#held[0] !== undefined && this.#held[0].writtenTo <= front;
    const most = this.#memory.isRelaxed ? MAX_SEGMENTS : SHARED_SEGMENTS;
    while (this.#held.length >= SHARED_SEGMENTS && isPassed() && (this.#held.length >= most || !this.#isWanted()))
      this.#drop();
    // Where everything that is left fits in, nothing has to be kept free.
    const fits = this.range.to - this.#start <= lease.capacity * lease.segmentBytes;
    const isFar = !fits && this.#held.filter(({ writtenTo }) => writtenTo > front).length >= AHEAD_SEGMENTS;
    if (this.#held.length >= most || (isFar && !this.#memory.isRelaxed)) return undefined;
    if (lease.isOut && !lease.grow() && !isFar) {
      // Slow sockets hold segments that the window has passed. They must not hold up the fastest reader: it gets more
      // memory, or the segments that are kept for the readers behind it.
      if (!lease.extend()) while (lease.isOut && isPassed()) this.#drop();
    }
    return lease.take();
  }

  /** Whether a reader still needs the oldest segment. */
  #isWanted(): boolean {
    const oldest = this.#held[0];
    if (oldest === undefined) return false;
    for (const reader of this.#readers) if (reader.at < oldest.writtenTo) return true;
    return false;
  }

  #drop(): void {
    this.#held.shift()?.segment.release();
    // A passed reader leaves now, not when it next asks: that may take long, and it may be the last one.
    for (const reader of this.#readers) if (reader.at < this.#start) reader.pass();
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

  #shortfall(): OrcaError {
    const { from, to } = this.range;
    return new OrcaError('internal', `a source ended at ${this.#writtenTo} of [${from}, ${to})`);
  }

  #callResume(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }
}

function isFull({ segment, start, writtenTo }: Held): boolean {
  return writtenTo - start === segment.bytes.length;
}

/** All of it is written and lies behind `front`; the verifier has seen every byte that was written. */
function isRead(held: Held, front: number): boolean {
  return held.writtenTo <= front && isFull(held);
}
