/**
 * Chunks on their way from the cachestore into memory: those that are read whole, and not for the first time. Whoever
 * wants one meanwhile reads along, so that a crowd costs the cachestore one read and not one each.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { ArrivingReader, type Arriving } from './shared-reader.ts';
import { BlockVerifier } from './block-verifier.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { handOutOf } from './view-or-copy.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { Pace } from './reader-pace.ts';
import type { ByteSink, CallOptions, ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';

/** Larger ones would take what many small ones need: eight of these are what one response may read ahead. */
const MAX_LOAD_BYTES = 8 * 1024 * 1024;
/** Who begins further on than the load has come is sooner there by itself. */
const NEAR_BYTES = 1024 * 1024;
const NOBODY_READS = new OrcaError('cancelled', 'nobody reads this chunk any more');

export interface LoadContext {
  readonly store: ChunkStore;
  readonly memory: ChunkMemory;
  readonly memoryTier: MemoryTier;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly observer: Observer;
}

export interface LoadRead {
  readonly chunk: Chunk;
  readonly range: ByteRange;
  readonly signal: AbortSignal;
  readonly pace?: Pace | undefined;
}

export class Loads {
  readonly #context: LoadContext;
  readonly #table = new Map<ChunkPath, Load>();

  constructor(context: LoadContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#table.size;
  }

  /** A reader of the load that is under way, if it is near to where `range` begins. */
  join({ chunk, range, signal, pace }: LoadRead): ArrivingReader | undefined {
    const load = this.#table.get(chunk.path);
    if (load === undefined || range.from > load.readyTo + NEAR_BYTES) return undefined;
    return load.join(range, signal, pace);
  }

  /**
   * The first reader of a load, where memory has room to spare for all of the chunk, or holds chunks that nobody reads
   * any more.
   */
  start(read: LoadRead, options: Omit<CallOptions, 'signal'>): ArrivingReader | undefined {
    const { memory } = this.#context;
    const { chunk, range, signal, pace } = read;
    const isWhole = range.from === 0 && range.to === chunk.lengthBytes;
    if (!isWhole || chunk.lengthBytes > MAX_LOAD_BYTES || pace?.isSlow === true || !memory.isRelaxed) return undefined;
    const lease = memory.tryLease(chunk.lengthBytes, 'fill');
    if (lease === undefined) return undefined;
    const load = new Load(this.#context, chunk, new ChunkBytes(lease, chunk.lengthBytes), () => this.#leave(load));
    this.#table.set(chunk.path, load);
    const reader = load.join(range, signal, pace);
    void load.run(options);
    return reader;
  }

  #leave(load: Load): void {
    if (this.#table.get(load.chunk.path) === load) this.#table.delete(load.chunk.path);
  }
}

class Load implements Arriving, ByteSink {
  readonly source = 'store';
  readonly chunk: Chunk;
  readonly bytes: ChunkBytes;
  readonly #context: LoadContext;
  readonly #onOver: () => void;
  readonly #readers = new Set<ArrivingReader>();
  readonly #abandoned = new AbortController();
  #verifier: BlockVerifier | undefined;
  #writtenTo = 0;
  #readyTo = 0;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;

  /** `onOver` is called when nobody is to join any more; until then whoever comes finds what is there. */
  constructor(context: LoadContext, chunk: Chunk, bytes: ChunkBytes, onOver: () => void) {
    this.#context = context;
    this.chunk = chunk;
    this.bytes = bytes;
    this.#onOver = onOver;
  }

  /** Written, and found right. */
  get readyTo(): number {
    return this.#readyTo;
  }

  join(range: ByteRange, signal: AbortSignal, pace: Pace | undefined): ArrivingReader {
    const onClose = () => {
      if (this.#readers.delete(reader) && this.#readers.size === 0) this.#onEmpty();
    };
    const handOut = handOutOf(this.#context.memory, pace);
    const reader = new ArrivingReader(this, { range, signal, handOut, onClose });
    this.#readers.add(reader);
    return reader;
  }

  /** Brings the chunk; never rejects. */
  async run(options: Omit<CallOptions, 'signal'>): Promise<void> {
    const { store, catalog, clock, observer } = this.#context;
    const { signal } = this.#abandoned;
    const startedMs = clock.now();
    const whole = { from: 0, to: this.chunk.lengthBytes };
    const onInfo = (metadata: ChunkMetadata | undefined) => {
      catalog.add(this.chunk.path);
      if (metadata !== undefined) this.#verifier = new BlockVerifier(metadata, whole);
    };
    try {
      await store.read(this.chunk, whole, this, onInfo, { ...options, signal });
      this.throwIfFailed();
      if (this.#writtenTo < whole.to) throw new OrcaError('internal', `a chunk ended at ${this.#writtenTo}`);
      observer.storeRequest('read', 'ok', clock.now() - startedMs);
    } catch (error) {
      const first = this.#fail(error);
      if (hasCode(first, 'chunk_missing', 'chunk_bad', 'store_unavailable'))
        observer.storeRequest('read', first.code, clock.now() - startedMs);
    }
    this.#end();
  }

  space(): Uint8Array | undefined {
    return this.#writtenTo < this.chunk.lengthBytes
      ? this.bytes.view(this.#writtenTo, this.chunk.lengthBytes)
      : undefined;
  }

  filled(lengthBytes: number): void {
    const piece = this.bytes.view(this.#writtenTo, this.#writtenTo + lengthBytes);
    this.#writtenTo += lengthBytes;
    try {
      this.#readyTo = this.#verifier?.take(piece) ?? this.#writtenTo;
    } catch (error) {
      this.#fail(error);
      this.#abandoned.abort(NOBODY_READS);
      return;
    }
    const run = { from: 0, to: this.chunk.lengthBytes, at: this.#readyTo };
    for (const reader of this.#readers) reader.notice(run);
  }

  /** There is memory for all of it: no reader's socket slows the store. */
  onSpace(): void {}

  availableTo(offset: number): number {
    return Math.max(offset, this.#readyTo);
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Returns the first failure, which is the one that counts. */
  #fail(error: unknown): unknown {
    if (this.#failure !== undefined) return this.#failure.error;
    this.#failure = { error };
    // Out of the table first: whoever hears of the failure and asks again starts afresh.
    this.#onOver();
    for (const reader of this.#readers) reader.wake();
    return error;
  }

  /** The store writes no more. */
  #end(): void {
    this.#hasEnded = true;
    if (this.#readers.size === 0) this.#handOver();
  }

  #onEmpty(): void {
    if (this.#hasEnded) this.#handOver();
    else {
      this.#onOver();
      this.#abandoned.abort(NOBODY_READS);
    }
  }

  /** Not before the last reader is through: what is read ahead would push out what was read ahead just before. */
  #handOver(): void {
    const { memoryTier } = this.#context;
    const { path } = this.chunk;
    this.#onOver();
    const isGood = this.#failure === undefined && this.#verifier !== undefined;
    if (isGood && memoryTier.get(path) === undefined) memoryTier.put(path, this.bytes);
    else this.bytes.drop();
  }
}
