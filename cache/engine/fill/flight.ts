/**
 * One fill in progress, as those see it who wait for it: they join and leave, read from their own offset as bytes
 * arrive, and never hold the fill up. It stays joinable until its commit is done.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { abortable } from '#cache/engine/abortable.ts';
import { ArrivingReader, type Arriving, type ReadAlong, type Run } from '#cache/engine/streams/shared-reader.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { asView, type HandOut } from '#cache/engine/streams/view-or-copy.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';

/** A part is one origin request: long enough for full speed, short enough to be asked again. */
export const PART_BYTES = 8 * SEGMENT_BYTES;

export interface Part extends Run {
  at: number;
  started: boolean;
}

export class Flight implements Arriving {
  readonly source = 'fill';
  readonly chunk: Chunk;
  readonly parts: readonly Part[];
  readonly opened: Promise<'bytes' | 'stored'>;
  readonly #open: (kind: 'bytes' | 'stored') => void;
  readonly #refuse: (error: unknown) => void;
  readonly #readers = new Set<FlightReader>();
  readonly #onEmpty: () => void;
  #kept = false;
  #bytes: ChunkBytes | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(chunk: Chunk, onEmpty: () => void) {
    this.chunk = chunk;
    this.#onEmpty = onEmpty;
    this.parts = Array.from({ length: Math.ceil(chunk.lengthBytes / PART_BYTES) }, (_, index) => {
      const from = index * PART_BYTES;
      return { from, to: Math.min(from + PART_BYTES, chunk.lengthBytes), at: from, started: false };
    });
    const opened = Promise.withResolvers<'bytes' | 'stored'>();
    // A flight that fails with nobody waiting is nobody's unhandled rejection.
    opened.promise.catch(() => {});
    this.opened = opened.promise;
    this.#open = opened.resolve;
    this.#refuse = opened.reject;
  }

  get isAbandoned(): boolean {
    return this.#readers.size === 0 && !this.#kept;
  }

  /** From now on it is worth its end also when nobody waits for it. */
  keep(): void {
    this.#kept = true;
  }

  get arrivedBytes(): number {
    return this.parts.reduce((sum, part) => sum + part.at - part.from, 0);
  }

  get bytes(): ChunkBytes | undefined {
    return this.#bytes;
  }

  /** Everything that arrived without a gap from the start. */
  get contiguousTo(): number {
    const open = this.parts.find((part) => part.at < part.to);
    return open === undefined ? this.chunk.lengthBytes : open.at;
  }

  /** Joins: the fill is kept alive, and this range's parts come first, until the reader is closed. */
  join(range: ByteRange, signal: AbortSignal, handOut: HandOut = asView): FlightReader {
    const onClose = () => {
      if (this.#readers.delete(reader) && this.#readers.size === 0) this.#onEmpty();
    };
    const reader = new FlightReader(this, { range, signal, handOut, onClose });
    this.#readers.add(reader);
    return reader;
  }

  /** The part to fetch next: the lowest that any reader wants, else the lowest of all, those that may wait at the end. */
  nextPart(mayWait: (part: Part) => boolean = () => false): Part | undefined {
    const open = this.parts.filter((part) => !part.started);
    const wanted = open.find((part) => [...this.#readers].some((reader) => reader.wants(part)));
    return wanted ?? open.find((part) => !mayWait(part)) ?? open[0];
  }

  settleStored(): void {
    this.#open('stored');
  }

  /** Where its bytes go; it opens with the first of them. */
  begin(bytes: ChunkBytes): void {
    this.#bytes = bytes;
  }

  /** More of `part` is there. */
  arrived(part: Part): void {
    this.#open('bytes');
    for (const reader of this.#readers) reader.notice(part);
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#refuse(error);
    for (const reader of this.#readers) reader.wake();
  }

  /** How far one may read from `offset` without a gap inside its part; `offset` itself if nothing is there yet. */
  availableTo(offset: number): number {
    const part = this.parts[Math.floor(offset / PART_BYTES)];
    return part === undefined ? offset : Math.max(offset, part.at);
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

export class FlightReader extends ArrivingReader {
  readonly #flight: Flight;

  constructor(flight: Flight, along: ReadAlong) {
    super(flight, along);
    this.#flight = flight;
  }

  /** `bytes`: read on; `stored`: the cachestore had it all along. Rejects when the fill fails before it began. */
  opened(): Promise<'bytes' | 'stored'> {
    return abortable(this.#flight.opened, this.signal);
  }
}
