/**
 * The table of origin fills, one flight a chunk: whoever asks while one is under way joins it. Looking in the catalog,
 * joining and starting are one step without a pause, so no second origin read can slip in between.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { runFill, type FillContext } from './fill.ts';
import { Flight } from './flight.ts';
import type { Demand } from '#cache/engine/memory/chunk-memory.ts';

/** A fill that nobody waits for any more runs on for so long: a client that reconnects finds it. */
const ABANDONED_MS = 2_000;

export interface FlightRequest {
  readonly chunk: Chunk;
  readonly demand: Demand | 'ahead';
  readonly knownAbsent: boolean;
  readonly overwrite?: boolean;
  /** Asked for often enough: it is brought to its end also when nobody waits for it. */
  readonly proven?: boolean;
  /** Told of the failure of a fill that this request began. */
  readonly onFailed?: (error: unknown) => void;
}

export class Flights {
  readonly #context: FillContext;
  readonly #table = new Map<ChunkPath, Flight>();
  readonly #running = new Set<Promise<void>>();

  constructor(context: FillContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#table.size;
  }

  get(path: ChunkPath): Flight | undefined {
    return this.#table.get(path);
  }

  /**
   * The chunk's flight, joined or started; undefined when it is in memory by now, or the catalog has come to know it as
   * stored. Read-ahead is refused (`overloaded`) instead of waiting for memory.
   */
  enter(request: FlightRequest): Flight | undefined {
    const { chunk, proven } = request;
    const joined = this.#table.get(chunk.path);
    if (joined !== undefined) {
      if (proven === true) joined.keep();
      return joined;
    }
    // Filled, and perhaps not committed: a second fill would ask the origin again, and take the first one's bytes away
    // from its commit.
    if (this.#context.memoryTier.get(chunk.path) !== undefined) return undefined;
    if (!request.knownAbsent && this.#context.catalog.has(chunk.path)) return undefined;
    const flight = this.#start(request);
    if (proven === true) flight.keep();
    return flight;
  }

  /** Resolves when no fill runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #start(request: FlightRequest): Flight {
    const { chunk, demand, knownAbsent } = request;
    const lease = demand === 'ahead' ? this.#context.memory.tryLease(chunk.lengthBytes, 'fill') : undefined;
    if (demand === 'ahead' && lease === undefined)
      throw new OrcaError('overloaded', 'no memory to spare for reading ahead');
    const abandoned = new AbortController();
    const flight = new Flight(chunk, () => this.#onEmpty(flight, abandoned));
    this.#table.set(chunk.path, flight);
    const order = {
      chunk,
      demand: demand === 'ahead' ? 'new' : demand,
      knownAbsent,
      overwrite: request.overwrite ?? false,
      lease,
    } as const;
    const run = runFill(this.#context, order, flight, abandoned.signal).then(
      () => this.#leave(flight),
      (error: unknown) => {
        // Out of the table first: whoever hears of the failure and asks again starts afresh.
        this.#leave(flight);
        this.#context.observer.fill(abandoned.signal.aborted ? 'cancelled' : 'failed');
        flight.fail(error);
        flight.bytes?.drop();
        request.onFailed?.(error);
      },
    );
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
    return flight;
  }

  #leave(flight: Flight): void {
    if (this.#table.get(flight.chunk.path) === flight) this.#table.delete(flight.chunk.path);
  }

  #onEmpty(flight: Flight, abandoned: AbortController): void {
    this.#context.clock.after(ABANDONED_MS, () => {
      const pastHalf = flight.arrivedBytes * 2 >= flight.chunk.lengthBytes;
      if (!flight.isAbandoned || pastHalf || this.#table.get(flight.chunk.path) !== flight) return;
      this.#leave(flight);
      abandoned.abort(new OrcaError('cancelled', 'nobody waits for this fill any more'));
    });
  }
}
