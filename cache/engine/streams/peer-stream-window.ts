/**
 * The window of a stream that many read: a source writes into a few pooled segments, each reader takes pieces from its
 * own offset. The window goes with the fastest reader; one that it has passed by reads on elsewhere.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { InboundReader, type End, type Held, type InboundRead, type Shared } from './peer-stream-reader.ts';
import { SEGMENT_BYTES, type Lease, type Segment } from '#cache/engine/memory/lease.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { ByteSink } from '#cache/engine/ports.ts';

/** Two for the fastest reader, as many for those behind it. */
export const INBOUND_SEGMENTS = 4;
/** One on its way in, one on its way out: what lies further ahead would be taken from those who follow. */
const AHEAD_SEGMENTS = 2;
/** A chunk of the default size, while memory is plenty: then nobody falls behind. */
const MAX_SEGMENTS = 8;

export class InboundWindow implements ByteSink, Shared {
  readonly range: ByteRange;
  /** Where the source has its bytes from; it says so before the first of them. */
  source: Source = 'peer_fill';
  readonly #memory: ChunkMemory;
  readonly #onEmpty: () => void;
  readonly #readers = new Set<InboundReader>();
  /** Of the readers, those that wait for bytes. */
  readonly #waiting = new Set<InboundReader>();
  readonly #held: Held[] = [];
  #lease: Lease | undefined;
  #written: number;
  /** How far the fastest reader has come; undefined = to be looked up. */
  #front: number | undefined;
  #end: End | undefined;
  #resume: (() => void) | undefined;
  #isChoosing = false;

  /** `onEmpty` is called when the last reader has left. */
  constructor(memory: ChunkMemory, range: ByteRange, onEmpty: () => void) {
    this.#memory = memory;
    this.range = range;
    this.#written = range.from;
    this.#onEmpty = onEmpty;
  }

  /** What its segments are taken from; before that there is no room. */
  open(lease: Lease): void {
    this.#lease = lease;
    lease.onRoom(() => {
      if (this.#resume !== undefined) this.#callResume();
      else if (!this.#isChoosing) lease.trim(INBOUND_SEGMENTS);
    });
  }

  get isOpen(): boolean {
    return this.#lease !== undefined;
  }

  get writtenTo(): number {
    return this.#written;
  }

  get end(): End | undefined {
    return this.#end;
  }

  /** Whether a reader of `range` finds its first byte in the window, or soon, and its last one behind it. */
  covers({ from, to }: ByteRange): boolean {
    const soonAt = this.#written + AHEAD_SEGMENTS * SEGMENT_BYTES;
    return from >= this.#start && from <= soonAt && to <= this.range.to;
  }

  /** Whether a reader of `range` could have had it all from here, had it come earlier. */
  hasPassed({ from, to }: ByteRange): boolean {
    return from >= this.range.from && from < this.#start && to <= this.range.to;
  }

  join(range: ByteRange, read: InboundRead): InboundReader {
    const reader = new InboundReader(this, range, read);
    this.#readers.add(reader);
    this.#moveFront(range.from);
    this.#callResume();
    return reader;
  }

  space(): Uint8Array | undefined {
    const left = this.range.to - this.#written;
    if (left <= 0 || this.#lease === undefined) return undefined;
    let held = this.#held.at(-1);
    if (held === undefined || isFull(held)) {
      this.#isChoosing = true;
      const segment = this.#nextSegment(this.#lease);
      this.#isChoosing = false;
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
    held.end += lengthBytes;
    this.#written += lengthBytes;
    for (const reader of this.#waiting) reader.notice(held);
  }

  onSpace(resume: () => void): void {
    this.#resume = resume;
  }

  /** The source has ended; what is in the window stays readable. */
  finish(end: End): void {
    if (this.#end !== undefined) return;
    const isShort = 'answer' in end && end.answer.kind === 'bytes' && this.#written < this.range.to;
    this.#end = isShort ? { error: this.#shortfall() } : end;
    // Who has come least far first: what it opens to read on serves the others too.
    for (const reader of [...this.#waiting].toSorted((a, b) => a.at - b.at)) reader.wake();
  }

  find(offset: number): Held | undefined {
    return this.#held.find(({ start, end }) => offset >= start && offset < end);
  }

  waits(reader: InboundReader, isWaiting: boolean): void {
    if (isWaiting) this.#waiting.add(reader);
    else this.#waiting.delete(reader);
  }

  advanced(offset: number, isWhole: boolean): void {
    if (offset <= this.#frontAt()) return;
    this.#moveFront(offset);
    // Only a whole segment more that is behind the fastest makes room.
    if (isWhole) this.#callResume();
  }

  leave(reader: InboundReader): void {
    this.#waiting.delete(reader);
    if (!this.#readers.delete(reader)) return;
    if (reader.at === this.#front) this.#front = undefined;
    if (this.#readers.size === 0) this.#close();
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** In whose name the source is asked: of one whose response has started, if there is one. */
  get asker(): InboundRead | undefined {
    const reads = [...this.#readers].map(({ read }) => read);
    return reads.find(({ demand }) => demand === 'started') ?? reads[0];
  }

  /** Gives everything back; pieces that are out follow as they are released. */
  #close(): void {
    for (const { segment } of this.#held.splice(0)) segment.release();
    this.#lease?.close();
    this.#onEmpty();
  }

  get #start(): number {
    return this.#held[0]?.start ?? this.#written;
  }

  #nextSegment(lease: Lease): Segment | undefined {
    const front = this.#frontAt();
    const isPassed = () => this.#held[0] !== undefined && this.#held[0].end <= front;
    const most = this.#memory.isRelaxed ? MAX_SEGMENTS : INBOUND_SEGMENTS;
    while (this.#held.length >= INBOUND_SEGMENTS && isPassed() && (this.#held.length >= most || !this.#isWanted()))
      this.#drop();
    // Where all that is left fits in, nothing need be kept free.
    const fits = this.range.to - this.#start <= lease.capacity * lease.segmentBytes;
    const isFar = !fits && this.#held.filter(({ end }) => end > front).length >= AHEAD_SEGMENTS;
    if (this.#held.length >= most || (isFar && !this.#memory.isRelaxed)) return undefined;
    if (lease.isOut && !lease.grow() && !isFar) {
      // Slow sockets hold what the window has passed. They must not hold up the fastest reader: it gets memory for it,
      // or else what is kept for those who follow.
      if (!lease.extend()) while (lease.isOut && isPassed()) this.#drop();
    }
    return lease.take();
  }

  /** Whether somebody has still to read the oldest segment. */
  #isWanted(): boolean {
    const oldest = this.#held[0];
    if (oldest === undefined) return false;
    for (const reader of this.#readers) if (reader.at < oldest.end) return true;
    return false;
  }

  #drop(): void {
    this.#held.shift()?.segment.release();
    // Out at once, not when its turn comes: it may be long, and nobody else may be left.
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
    return new OrcaError('internal', `a source ended at ${this.#written} of [${from}, ${to})`);
  }

  #callResume(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }
}

function isFull({ segment, start, end }: Held): boolean {
  return end - start === segment.bytes.length;
}
