/**
 * Coalesces origin fills: one flight per chunk, which concurrent requests join. Checking the catalog, joining and
 * starting happen in one turn of the event loop, so no second origin read can start in between.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Demand } from '#cache/engine/ports.ts';
import { InFlightTable } from '#cache/engine/streams/in-flight-table.ts';
import { runFill, type FillContext } from './fill.ts';
import { Flight } from './flight.ts';

/** How long a fill without readers runs on: a client that reconnects finds it. */
const ABANDONED_MS = 2_000;

export interface FlightRequest {
  readonly chunk: Chunk;
  readonly demand: Demand | 'ahead';
  readonly knownAbsent: boolean;
  readonly overwrite?: boolean;
  /** Requested often enough that the fill is completed even without readers. */
  readonly proven?: boolean;
  /** Called when the fill that this request started fails. */
  readonly onFailed?: (error: unknown) => void;
}

export class Flights {
  readonly #context: FillContext;
  readonly #table = new InFlightTable<ChunkPath, Flight>();
  readonly #running = new Set<Promise<void>>();

  constructor(context: FillContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#table.count;
  }

  get(path: ChunkPath): Flight | undefined {
    return this.#table.find(path);
  }

  /**
   * The chunk's flight, joined or started; undefined when the chunk is in memory by now, or the catalog lists it as
   * stored. Read-ahead throws `overloaded` instead of waiting for memory.
   */
  enter(request: FlightRequest): Flight | undefined {
    const { chunk, proven } = request;
    const joined = this.#table.find(chunk.path);
    if (joined !== undefined) {
      if (proven === true) joined.keep();
      return joined;
    }
    // Filled, and perhaps not committed yet: a second fill would read the origin again, and replace the bytes that the
    // first one is committing.
    if (this.#context.memoryTier.get(chunk.path) !== undefined) return undefined;
    if (!request.knownAbsent && this.#context.catalog.has(chunk.path)) return undefined;
    const flight = this.#start(request);
    if (proven === true) flight.keep();
    return flight;
  }

  /** Resolves when no fill is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #start(request: FlightRequest): Flight {
    const { chunk, demand, knownAbsent } = request;
    const lease = demand === 'ahead' ? this.#context.memory.tryLease(chunk.lengthBytes, 'fill') : undefined;
    if (demand === 'ahead' && lease === undefined) throw new OrcaError('overloaded', 'no spare memory for read-ahead');
    const abandoned = new AbortController();
    const flight = new Flight(chunk, () => this.#onEmpty(flight, abandoned));
    this.#table.add(chunk.path, flight);
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
        // Out of the table first: a reader that retries after the failure must start a new fill.
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
    this.#table.remove(flight.chunk.path, flight);
  }

  #onEmpty(flight: Flight, abandoned: AbortController): void {
    this.#context.clock.after(ABANDONED_MS, () => {
      const pastHalf = flight.arrivedBytes * 2 >= flight.chunk.lengthBytes;
      if (!flight.isAbandoned || pastHalf || this.#table.find(flight.chunk.path) !== flight) return;
      this.#leave(flight);
      abandoned.abort(new OrcaError('cancelled', 'the fill has no readers any more'));
    });
  }
}
