/**
 * Sparse reads, at the replica that serves them. Only the blocks that contain the requested range are fetched from the
 * origin, once for concurrent reads, and stay in the memory tier; more of them for a reader in sequence. When the reads
 * of a chunk have paid for the rest of it, it is filled.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import type { BlockRun } from '#cache/engine/fill/block-table.ts';
import { reserve, type FillContext } from '#cache/engine/fill/fill.ts';
import { Flight } from '#cache/engine/fill/flight.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import { fetchParts } from '#cache/engine/fill/origin-parts.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { SEGMENT_BYTES, type Lease } from '#cache/engine/memory/lease.ts';
import type { Demand, Observer } from '#cache/engine/ports.ts';
import { SparseReader } from './reader.ts';

export interface SparseAsk {
  readonly chunk: Chunk;
  /** Counts from the chunk's start. */
  readonly range: ByteRange;
  readonly demand: Demand | 'ahead';
  /** The cachestore was just queried, and does not have the chunk. */
  readonly knownAbsent: boolean;
  readonly signal: AbortSignal;
}

export interface SparseOptions {
  readonly context: FillContext;
  readonly flights: Flights;
  /** Called when a background fill finds that the origin has another version by now. */
  readonly onChanged: (object: ObjectVersion) => void;
}

export class SparseReads {
  readonly #options: SparseOptions;
  readonly #running = new Set<Promise<void>>();
  /** Sparse reads run to their end even without readers: they are short, and the next reader uses them. */
  readonly #never = new AbortController().signal;
  #sequence = 0;

  constructor(options: SparseOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Resolves when no sparse read is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /**
   * The blocks of the range, in flight or in memory; undefined when the chunk should be filled instead, and the caller
   * joins that fill. Deciding, joining and starting happen in one turn of the event loop.
   */
  enter(ask: SparseAsk): SparseReader | undefined {
    const { observer, blockTable, memory } = this.#options.context;
    const { chunk, range, signal } = ask;
    const { fill, gaps, ahead } = blockTable.decide(chunk, range, memory.isRelaxed);
    // Shorter gaps are read first, and the fill behind them: their reader does not wait for what the fill begins with.
    if (fill && gaps.some(({ from, to }) => to - from >= SEGMENT_BYTES)) {
      observer.sparseRead('fill');
      return undefined;
    }
    for (const { gap, lease } of this.#leases(ask, gaps)) this.#start(ask, gap, lease);
    const reader = new SparseReader(blockTable, chunk, range, signal);
    observer.sparseRead(gaps.length > 0 ? 'origin' : reader.isWaiting ? 'joined' : 'memory');
    if (ahead !== undefined) {
      const lease = memory.tryLease(ahead.to - ahead.from, 'fill');
      if (lease !== undefined) this.#start(ask, ahead, lease);
    }
    if (fill) this.#fillBehind(chunk);
    return reader;
  }

  /** Read-ahead takes only spare memory, all or nothing. */
  #leases(
    ask: SparseAsk,
    gaps: readonly ByteRange[],
  ): { readonly gap: ByteRange; readonly lease: Lease | undefined }[] {
    const { memory } = this.#options.context;
    const taken: { gap: ByteRange; lease: Lease | undefined }[] = [];
    for (const gap of gaps) {
      const lease = ask.demand === 'ahead' ? memory.tryLease(gap.to - gap.from, 'fill') : undefined;
      if (ask.demand === 'ahead' && lease === undefined) {
        for (const { lease: other } of taken) other?.close();
        throw new OrcaError('overloaded', 'no spare memory for read-ahead');
      }
      taken.push({ gap, lease });
    }
    return taken;
  }

  #start(ask: SparseAsk, gap: ByteRange, lease: Lease | undefined): void {
    const { context } = this.#options;
    const { chunk, range, demand } = ask;
    const part: Chunk = {
      ...chunk,
      path: `${chunk.path}#${++this.#sequence}` as ChunkPath,
      range: { from: chunk.range.from + gap.from, to: chunk.range.from + gap.to },
      lengthBytes: gap.to - gap.from,
    };
    const ended = Promise.withResolvers<void>();
    const run: BlockRun = { ...gap, chunk, flight: new Flight(part), ended: ended.promise };
    context.blockTable.begin(run);
    const order = { chunk, demand: demand === 'ahead' ? 'new' : demand, knownAbsent: ask.knownAbsent, lease } as const;
    const askedBytes = Math.max(0, Math.min(range.to, gap.to) - Math.max(range.from, gap.from));
    const running = this.#read(run, order, part.lengthBytes - askedBytes).catch((error: unknown) => {
      // Out of the table first: a reader that retries after the failure must start a new read.
      context.blockTable.failed(run);
      run.flight.fail(error);
      run.flight.bytes?.drop();
    });
    this.#running.add(running);
    void running.finally(() => {
      this.#running.delete(running);
      ended.resolve();
    });
  }

  async #read(run: BlockRun, order: Parameters<typeof reserve>[1], excessBytes: number): Promise<void> {
    const context = countingSparse(this.#options.context);
    const { flight } = run;
    const lease = await reserve(context, order, flight, this.#never);
    if (lease === 'stored') {
      context.blockTable.failed(run);
      return;
    }
    if (this.#options.flights.get(order.chunk.path)?.bytes !== undefined) {
      lease.close();
      throw new OrcaError('chunk_missing', 'a fill of the chunk began before its blocks had memory, and fetches them');
    }
    const bytes = new ChunkBytes(lease, flight.chunk.lengthBytes, () => context.blockTable.dropped(run));
    flight.begin(bytes);
    await fetchParts(context, flight, bytes, { onArrived: () => {} }, this.#never);
    context.observer.sparseBytes('excess', excessBytes);
    context.blockTable.completed(run, bytes);
  }

  /** A background fill, which takes only spare memory; without any, the next read tries again. */
  #fillBehind(chunk: Chunk): void {
    const { flights, onChanged } = this.#options;
    try {
      flights.enter({
        chunk,
        demand: 'ahead',
        knownAbsent: false,
        proven: true,
        onFailed: (error) => {
          if (hasCode(error, 'object_changed')) onChanged(chunk.object);
        },
      });
    } catch (error) {
      if (!hasCode(error, 'overloaded')) throw error;
    }
  }
}

/** Sparse bytes count as origin bytes, and separately as well. */
function countingSparse(context: FillContext): FillContext {
  const { observer } = context;
  const counting: Observer = {
    ...observer,
    originBytes(lengthBytes, name) {
      observer.originBytes(lengthBytes, name);
      observer.sparseBytes('read', lengthBytes);
    },
  };
  return { ...context, observer: counting };
}
