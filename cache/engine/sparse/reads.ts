/**
 * Sparse reads at the replica that answers them: only the blocks that hold what is asked come from the origin, once for
 * all who ask at the same time, and stay in the memory tier. What is asked again is filled, like any other chunk.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { hasCode, OrcaError } from '#cache/core/errors.ts';
import type { ByteRange, ObjectVersion } from '#cache/core/object.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { reserve, type FillContext } from '#cache/engine/fill/fill.ts';
import { Flight } from '#cache/engine/fill/flight.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import type { Lease } from '#cache/engine/memory/lease.ts';
import type { Demand } from '#cache/engine/ports.ts';
import { fetchParts } from '#cache/engine/fill/origin-parts.ts';
import type { Observer } from '#cache/engine/ports.ts';
import { SparseReader } from './reader.ts';
import type { BlockRun } from '#cache/engine/fill/block-table.ts';

export interface SparseAsk {
  readonly chunk: Chunk;
  /** Counts from the chunk's start. */
  readonly range: ByteRange;
  readonly demand: Demand | 'ahead';
  /** The table's moment when it was asked. */
  readonly askedAt: number;
  /** The cachestore was just asked and has not got the chunk. */
  readonly knownAbsent: boolean;
  readonly signal: AbortSignal;
}

export interface SparseOptions {
  readonly context: FillContext;
  readonly flights: Flights;
  /** The origin has another version by now, and nobody waits to be told. */
  readonly onChanged: (object: ObjectVersion) => void;
}

/** They run to their end, however many leave: they are short, and the next who asks has them. */
const NEVER = new AbortController().signal;

export class SparseReads {
  readonly #options: SparseOptions;
  readonly #running = new Set<Promise<void>>();
  #sequence = 0;

  constructor(options: SparseOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Resolves when no sparse read runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /**
   * The blocks of the range, on their way or here; undefined when the chunk is to be filled instead, and the asker to
   * join that. Judging, joining and starting are one step without a pause.
   */
  enter(ask: SparseAsk): SparseReader | undefined {
    const { clock, observer, blockTable } = this.#options.context;
    const { chunk, range, signal } = ask;
    const { fill, gaps } = blockTable.judge(chunk, range, { moment: ask.askedAt, nowMs: clock.now() });
    if (fill && gaps.length > 0) {
      observer.sparseRead('fill');
      return undefined;
    }
    for (const { gap, lease } of this.#leases(ask, gaps)) this.#start(ask, gap, lease);
    const reader = new SparseReader(blockTable, chunk, range, signal);
    observer.sparseRead(gaps.length > 0 ? 'origin' : reader.waits ? 'joined' : 'memory');
    // Whoever asks for what is here has it at once, and the next who asks for its neighbours.
    if (fill) this.#fillBehind(chunk);
    return reader;
  }

  /** Read-ahead takes only memory that is to spare, and all or nothing. */
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
        throw new OrcaError('overloaded', 'no memory to spare for reading ahead');
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
    const run: BlockRun = { ...gap, chunk, flight: new Flight(part, () => {}) };
    context.blockTable.begin(run);
    const order = { chunk, demand: demand === 'ahead' ? 'new' : demand, knownAbsent: ask.knownAbsent, lease } as const;
    const askedBytes = Math.min(range.to, gap.to) - Math.max(range.from, gap.from);
    const running = this.#read(run, order, part.lengthBytes - askedBytes).catch((error: unknown) => {
      // Out of the table first: whoever hears of the failure and asks again starts afresh.
      context.blockTable.failed(run);
      run.flight.fail(error);
      run.flight.bytes?.drop();
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #read(run: BlockRun, order: Parameters<typeof reserve>[1], excessBytes: number): Promise<void> {
    const context = countingSparse(this.#options.context);
    const { flight } = run;
    const lease = await reserve(context, order, flight, NEVER);
    if (lease === 'stored') {
      context.blockTable.failed(run);
      return;
    }
    const bytes = new ChunkBytes(lease, flight.chunk.lengthBytes, () => context.blockTable.dropped(run));
    flight.begin(bytes);
    await fetchParts(context, flight, bytes, { onArrived: () => {} }, NEVER);
    context.observer.sparseBytes('excess', excessBytes);
    context.blockTable.completed(run, bytes, context.clock.now());
  }

  /** Nobody waits for it, so it takes only memory that is to spare: else the next touch tries again. */
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

/** What it reads is the origin's bytes too, and counted apart beside that. */
function countingSparse(context: FillContext): FillContext {
  const { observer } = context;
  const counting: Observer = {
    ...observer,
    originBytes(lengthBytes) {
      observer.originBytes(lengthBytes);
      observer.sparseBytes('read', lengthBytes);
    },
  };
  return { ...context, observer: counting };
}
