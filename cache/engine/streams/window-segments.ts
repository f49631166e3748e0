/**
 * The pooled segments of a stream window, in the order of their bytes: the source writes into the last one, and readers
 * take pieces out of all of them.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Lease, Segment } from '#cache/engine/memory/lease.ts';

/** A segment of a window, as far as it is filled. All offsets count from the chunk's start. */
export interface Held {
  readonly segment: Segment;
  readonly start: number;
  /** Written by the source. */
  writtenTo: number;
  /** Verified, so that readers may take the bytes. */
  readyTo: number;
}

export class WindowSegments {
  readonly #held: Held[] = [];
  #lease: Lease | undefined;
  #writtenTo: number;
  /** The source has memory from `room`, and has not reported it as filled. */
  #isWriting = false;
  /** After `close`: the segment that the source may still write into. */
  #lastWritten: Segment | undefined;

  constructor(from: number) {
    this.#writtenTo = from;
  }

  /** There is no room before. */
  open(lease: Lease): void {
    this.#lease = lease;
  }

  get isOpen(): boolean {
    return this.#lease !== undefined;
  }

  /**
   * Whether a block of `blockBytes` of a range of `rangeBytes` always fits in. It may begin anywhere in a segment, and
   * readers get none of it before it is whole.
   */
  holdsBlock(blockBytes: number, rangeBytes: number): boolean {
    if (this.#lease === undefined) return false;
    const { capacity, segmentBytes } = this.#lease;
    return capacity * segmentBytes >= Math.min(rangeBytes, blockBytes + segmentBytes);
  }

  get writtenTo(): number {
    return this.#writtenTo;
  }

  /** The offset of the first byte. */
  get start(): number {
    return this.#held[0]?.start ?? this.#writtenTo;
  }

  get count(): number {
    return this.#held.length;
  }

  get oldest(): Held | undefined {
    return this.#held[0];
  }

  /** How many segments have bytes beyond `offset`. */
  countBeyond(offset: number): number {
    let count = 0;
    for (const { writtenTo } of this.#held) if (writtenTo > offset) count++;
    return count;
  }

  /** The segment with the byte at `offset`, if that is ready. */
  find(offset: number): Held | undefined {
    return this.#held.find(({ start, readyTo }) => offset >= start && offset < readyTo);
  }

  /** Memory for the next bytes, up to offset `to`. `next` provides a segment when the last one is full. */
  room(to: number, next: (lease: Lease) => Segment | undefined): Uint8Array | undefined {
    const left = to - this.#writtenTo;
    if (left <= 0 || this.#lease === undefined) return undefined;
    let last = this.#held.at(-1);
    if (last === undefined || isFull(last)) {
      const segment = next(this.#lease);
      if (segment === undefined) return undefined;
      last = { segment, start: this.#writtenTo, writtenTo: this.#writtenTo, readyTo: this.#writtenTo };
      this.#held.push(last);
    }
    const used = last.writtenTo - last.start;
    this.#isWriting = true;
    return last.segment.bytes.subarray(used, Math.min(used + left, last.segment.bytes.length));
  }

  /** The source has written the next bytes; returns their segment. */
  wrote(lengthBytes: number): Held {
    const last = this.#held.at(-1);
    if (last === undefined) throw new OrcaError('internal', 'bytes arrived where there was no space');
    this.#isWriting = false;
    last.writtenTo += lengthBytes;
    this.#writtenTo += lengthBytes;
    return last;
  }

  /** Up to `offset` all bytes are verified; calls `onMore` with each segment that has more bytes ready. */
  release(offset: number, onMore: (held: Held) => void): void {
    for (const held of this.#held) {
      const readyTo = Math.min(held.writtenTo, offset);
      if (readyTo <= held.readyTo) continue;
      held.readyTo = readyTo;
      onMore(held);
    }
  }

  dropOldest(): void {
    this.#held.shift()?.segment.release();
  }

  /** Drops all full segments before `offset`. The verifier has seen them, whether their block is complete or not. */
  dropBefore(offset: number): void {
    for (let held = this.#held[0]; held !== undefined && isFull(held) && held.writtenTo <= offset; held = this.#held[0])
      this.dropOldest();
  }

  /** Releases everything; pieces that a socket still writes keep their segments until they are released. */
  close(hasSourceEnded: boolean): void {
    // A read of a file cannot be cancelled: until it ends, no other stream may get the memory that it writes into.
    if (this.#isWriting && !hasSourceEnded) {
      this.#lastWritten = this.#held.at(-1)?.segment;
      this.#lastWritten?.retain();
    }
    for (const { segment } of this.#held.splice(0)) segment.release();
    this.#lease?.close();
  }

  /** Keeps the segment that the source writes into until the returned function is called. */
  keepLast(): () => void {
    const segment = this.#held.at(-1)?.segment ?? this.#lastWritten;
    segment?.retain();
    return () => segment?.release();
  }

  sourceEnded(): void {
    this.#lastWritten?.release();
    this.#lastWritten = undefined;
  }
}

function isFull({ segment, start, writtenTo }: Held): boolean {
  return writtenTo - start === segment.bytes.length;
}
