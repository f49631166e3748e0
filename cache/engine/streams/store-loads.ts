/**
 * Coalesces concurrent cachestore reads of a chunk: one read loads it into memory, and all clients that request it
 * meanwhile read along. Only chunks that are read whole, and not for the first time, are loaded.
 */
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange } from '#cache/core/object.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import type { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import type { MemoryTier } from '#cache/engine/memory/memory-tier.ts';
import type { ByteSink, CallOptions, ChunkStore, Clock, Observer } from '#cache/engine/ports.ts';
import type { Catalog } from '#cache/engine/upstream/catalog.ts';
import { BlockVerifier } from './block-verifier.ts';
import { InFlightTable } from './in-flight-table.ts';
import type { Pace } from './reader-pace.ts';
import { SharedReader, type ArrivingChunk } from './shared-reader.ts';
import { viewOrCopy } from './view-or-copy.ts';

/** Larger chunks would take the memory of many small ones: eight of these are what one response may read ahead. */
const MAX_LOAD_BYTES = 8 * 1024 * 1024;
/** Further ahead of the load than this, a reader is faster with a cachestore read of its own. */
const NEAR_BYTES = 1024 * 1024;
const NO_READERS = new OrcaError('cancelled', 'the chunk has no readers any more');

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

export class StoreLoads {
  readonly #context: LoadContext;
  readonly #table = new InFlightTable<ChunkPath, StoreLoad>();

  constructor(context: LoadContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#table.count;
  }

  /** A reader of the load in flight, if that is near to where `range` begins. */
  join({ chunk, range, signal, pace }: LoadRead): SharedReader | undefined {
    const load = this.#table.find(chunk.path);
    if (load === undefined || range.from > load.readyTo + NEAR_BYTES) return undefined;
    return load.join(range, signal, pace);
  }

  /** Whether this read may start a load: of a whole chunk, into memory that is not needed otherwise. */
  accepts({ chunk, range, pace }: Omit<LoadRead, 'signal'>): boolean {
    const isWhole = range.from === 0 && range.to === chunk.lengthBytes;
    return isWhole && chunk.lengthBytes <= MAX_LOAD_BYTES && pace?.isSlow !== true && this.#context.memory.isRelaxed;
  }

  /** The first reader of a new load, if memory has room for the whole chunk: free, or held by evictable chunks. */
  start(read: LoadRead, options: Omit<CallOptions, 'signal'>): SharedReader | undefined {
    const { memory } = this.#context;
    const { chunk, range, signal, pace } = read;
    if (!this.accepts(read)) return undefined;
    const lease = memory.tryLease(chunk.lengthBytes, 'fill');
    if (lease === undefined) return undefined;
    const onClosed = () => void this.#table.remove(chunk.path, load);
    const load = new StoreLoad(this.#context, chunk, new ChunkBytes(lease, chunk.lengthBytes), onClosed);
    this.#table.add(chunk.path, load);
    const reader = load.join(range, signal, pace);
    void load.run(options);
    return reader;
  }
}

class StoreLoad implements ArrivingChunk, ByteSink {
  readonly source = 'store';
  readonly chunk: Chunk;
  readonly bytes: ChunkBytes;
  readonly #context: LoadContext;
  readonly #onClosed: () => void;
  readonly #readers = new Set<SharedReader>();
  readonly #abandoned = new AbortController();
  #verifier: BlockVerifier | undefined;
  #writtenTo = 0;
  #readyTo = 0;
  #hasEnded = false;
  #failure: { readonly error: unknown } | undefined;

  /** `onClosed` is called when no reader may join any more, which may be long after the last byte. */
  constructor(context: LoadContext, chunk: Chunk, bytes: ChunkBytes, onClosed: () => void) {
    this.#context = context;
    this.chunk = chunk;
    this.bytes = bytes;
    this.#onClosed = onClosed;
  }

  /** Written and verified. */
  get readyTo(): number {
    return this.#readyTo;
  }

  join(range: ByteRange, signal: AbortSignal, pace: Pace | undefined): SharedReader {
    const onClose = () => {
      if (this.#readers.delete(reader) && this.#readers.size === 0) this.#onEmpty();
    };
    const makePiece = viewOrCopy(this.#context.memory, pace);
    const reader = new SharedReader(this, { range, signal, makePiece, onClose });
    this.#readers.add(reader);
    return reader;
  }

  /** Reads the chunk; never rejects. */
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
      this.#abandoned.abort(NO_READERS);
      return;
    }
    const ready = { from: 0, to: this.chunk.lengthBytes, at: this.#readyTo };
    for (const reader of this.#readers) reader.notice(ready);
  }

  /** There is always room for the whole chunk: no reader's socket slows the store. */
  onSpace(): void {}

  keep(): () => void {
    return this.bytes.keep(this.#writtenTo);
  }

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
    // Closed to new readers first: a reader that retries after the failure must start a new load.
    this.#onClosed();
    for (const reader of this.#readers) reader.wake();
    return error;
  }

  /** The store writes no more. */
  #end(): void {
    this.#hasEnded = true;
    if (this.#readers.size === 0) this.#admit();
  }

  #onEmpty(): void {
    if (this.#hasEnded) this.#admit();
    else {
      this.#onClosed();
      this.#abandoned.abort(NO_READERS);
    }
  }

  /**
   * Admits the chunk to the memory tier. Earlier, while it has readers, read-ahead would evict chunks it has just
   * prefetched.
   */
  #admit(): void {
    const { memoryTier } = this.#context;
    const { path } = this.chunk;
    this.#onClosed();
    const isGood = this.#failure === undefined && this.#verifier !== undefined;
    if (isGood && memoryTier.get(path) === undefined) memoryTier.put(path, this.bytes);
    else this.bytes.drop();
  }
}
