/**
 * One fill in flight, as its readers see it: they join and leave, read from their own offset as bytes arrive, and never
 * slow the fill down. It stays joinable until its commit is done.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { abortable } from '#shared/abortable.ts';
import type { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import type { Rank } from '#cache/engine/upstream/rank.ts';
import {
  SharedReader,
  type ArrivingChunk,
  type ArrivingRange,
  type SharedRead,
} from '#cache/engine/streams/shared-reader.ts';
import { asView, type MakePiece } from '#cache/engine/streams/view-or-copy.ts';

/** One origin request: long enough for full throughput, short enough to be repeated. */
export const FILL_PART_BYTES = 8 * SEGMENT_BYTES;

export interface FillPart extends ArrivingRange {
  at: number;
  started: boolean;
}

export class Flight implements ArrivingChunk, Rank {
  readonly source = 'fill';
  readonly chunk: Chunk;
  readonly parts: readonly FillPart[];
  readonly opened: Promise<'bytes' | 'stored'>;
  /** Resolves after the first attempt of its commit; rejects when it fails before all bytes have arrived. */
  readonly ended: Promise<void>;
  readonly #end: () => void;
  readonly #break: (error: unknown) => void;
  readonly #open: (kind: 'bytes' | 'stored') => void;
  readonly #refuse: (error: unknown) => void;
  readonly #readers = new Set<FlightReader>();
  readonly #onRank = new Set<() => void>();
  #warmers = 0;
  #joins = 0;
  #isShared = false;
  #kept = false;
  #fetchedBytes = 0;
  #versionId: string | undefined;
  #isRequested = false;
  #bytes: ChunkBytes | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(chunk: Chunk) {
    this.chunk = chunk;
    this.#versionId = chunk.object.versionId;
    this.parts = Array.from({ length: Math.ceil(chunk.lengthBytes / FILL_PART_BYTES) }, (_, index) => {
      const from = index * FILL_PART_BYTES;
      return { from, to: Math.min(from + FILL_PART_BYTES, chunk.lengthBytes), at: from, started: false };
    });
    const opened = Promise.withResolvers<'bytes' | 'stored'>();
    // A flight that fails without readers is not an unhandled rejection.
    opened.promise.catch(() => {});
    this.opened = opened.promise;
    this.#open = opened.resolve;
    this.#refuse = opened.reject;
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => {});
    this.ended = ended.promise;
    this.#end = ended.resolve;
    this.#break = ended.reject;
  }

  /** No reader waits for it. */
  get isBackground(): boolean {
    return this.#readers.size === 0 && !this.#kept;
  }

  /** A prewarm waits for its commit. */
  get isWarm(): boolean {
    return this.#warmers > 0;
  }

  /** A reader has joined, now or earlier. */
  get wasRead(): boolean {
    return this.#joins > 0;
  }

  /** More than one client may wait for its commit. */
  get isShared(): boolean {
    return this.#isShared || this.#joins > 1 || this.#kept || this.isWarm;
  }

  /** Another replica reads it, for any number of clients. */
  share(): void {
    this.#isShared = true;
  }

  onRank(listener: () => void): () => void {
    this.#onRank.add(listener);
    return () => this.#onRank.delete(listener);
  }

  /** Until the returned function is called, the fill does not end for lack of readers. Its rank stays. */
  warm(): () => void {
    this.#changeRank(() => this.#warmers++);
    let isWarm = true;
    return () => {
      if (isWarm) this.#changeRank(() => this.#warmers--);
      isWarm = false;
    };
  }

  /** From now on the fill is as urgent without readers as with them. */
  keep(): void {
    this.#changeRank(() => {
      this.#kept = true;
    });
  }

  /** A request for some of its bytes goes to the origin, which charges for them. */
  requested(): void {
    this.#isRequested = true;
  }

  /** Whether it has anything that would be lost with it. */
  get isPaidFor(): boolean {
    return this.#isRequested || this.arrivedBytes > 0;
  }

  /** The bytes that the origin has sent for it; the other ones come from blocks of sparse reads. */
  get fetchedBytes(): number {
    return this.#fetchedBytes;
  }

  fetched(lengthBytes: number): void {
    this.#fetchedBytes += lengthBytes;
  }

  get arrivedBytes(): number {
    return this.parts.reduce((sum, part) => sum + part.at - part.from, 0);
  }

  get bytes(): ChunkBytes | undefined {
    return this.#bytes;
  }

  /** How far the bytes have arrived without a gap, from the start. */
  get contiguousTo(): number {
    const open = this.parts.find((part) => part.at < part.to);
    return open === undefined ? this.chunk.lengthBytes : open.at;
  }

  /** The version of the object by its ID, if any reader requested it so. */
  get versionId(): string | undefined {
    return this.#versionId;
  }

  /** A reader joins that requested the object by a version ID, or by its key (undefined). */
  learnVersion(versionId: string | undefined): void {
    this.#versionId ??= versionId;
  }

  /** Until the reader is closed, it keeps the fill alive, and the parts of its range are fetched first. */
  join(range: ByteRange, signal: AbortSignal, makePiece: MakePiece = asView): FlightReader {
    this.#joins++;
    const onClose = () => this.#changeRank(() => this.#readers.delete(reader));
    const reader = new FlightReader(this, { range, signal, makePiece, onClose });
    this.#changeRank(() => this.#readers.add(reader));
    return reader;
  }

  /** The part to fetch next: the first that any reader wants, otherwise the first of all; those that `mayWait` last. */
  nextPart(mayWait: (part: FillPart) => boolean = () => false): FillPart | undefined {
    const open = this.parts.filter((part) => !part.started);
    const wanted = open.find((part) => [...this.#readers].some((reader) => reader.wants(part)));
    return wanted ?? open.find((part) => !mayWait(part)) ?? open[0];
  }

  settleStored(): void {
    this.#open('stored');
  }

  /** Where its bytes go. The flight opens with the first byte. */
  begin(bytes: ChunkBytes): void {
    this.#bytes = bytes;
  }

  /** More of `part` has arrived. */
  arrived(part: FillPart): void {
    this.#open('bytes');
    for (const reader of this.#readers) reader.notice(part);
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#refuse(error);
    this.#break(error);
    for (const reader of this.#readers) reader.wake();
  }

  /** Everything has arrived, and the first attempt of its commit is over. */
  finish(): void {
    this.#end();
  }

  /** How far a reader may read from `offset` inside its part; `offset` itself if nothing is there yet. */
  availableTo(offset: number): number {
    const part = this.parts[Math.floor(offset / FILL_PART_BYTES)];
    return part === undefined ? offset : Math.max(offset, part.at);
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #changeRank(change: () => void): void {
    const { isBackground, isWarm } = this;
    change();
    if (this.isBackground !== isBackground || this.isWarm !== isWarm) for (const listener of this.#onRank) listener();
  }
}

export class FlightReader extends SharedReader {
  readonly #flight: Flight;

  constructor(flight: Flight, read: SharedRead) {
    super(flight, read);
    this.#flight = flight;
  }

  /** `bytes`: read on; `stored`: the cachestore has the chunk. Rejects when the fill fails before its first byte. */
  opened(): Promise<'bytes' | 'stored'> {
    return abortable(this.#flight.opened, this.signal);
  }
}
