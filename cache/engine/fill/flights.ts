/**
 * Coalesces origin fills: one flight per chunk, which concurrent requests join. Checking the catalog, joining and
 * starting happen in one turn of the event loop, so no second origin read can start in between.
 */
import type { Chunk, ChunkPath } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { segmentsFor } from '#cache/engine/memory/lease.ts';
import type { Demand } from '#cache/engine/ports.ts';
import { InFlightTable } from '#cache/engine/streams/in-flight-table.ts';
import { runFill, type FillContext, type FillOrder } from './fill.ts';
import { Flight } from './flight.ts';

/**
 * The share of memory for fills without readers, which is as much as the commits that wait for the cachestore have; one
 * fill has a place in any case. Above it the fill with the fewest bytes ends.
 */
const BACKGROUND_SHARE = 1 / 4;

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

/** A fill in the background. */
export type IdleOrder = Pick<FillOrder, 'chunk' | 'knownAbsent' | 'overwrite'>;

export class Flights {
  readonly #context: FillContext;
  readonly #table = new InFlightTable<ChunkPath, Flight>();
  readonly #running = new Set<Promise<void>>();
  /** All that run, and what ends them. */
  readonly #fills = new Map<Flight, AbortController>();

  constructor(context: FillContext) {
    this.#context = context;
    context.memory.onShortage((neededBytes) => this.#giveWay(neededBytes));
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
      joined.learnVersion(chunk.object.versionId);
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

  /**
   * Starts a fill in the background, with idle memory; the caller is its warmer at once. `held`: the
   * chunk is in memory already. Undefined: not now. No fill of the chunk runs.
   */
  enterIdle(order: IdleOrder): Flight | 'held' | undefined {
    const { chunk } = order;
    const { memory, memoryTier } = this.#context;
    if (memoryTier.has(chunk.path)) return 'held';
    const inBackground = [...this.#fills.keys()].filter(
      ({ isBackground, arrivedBytes, chunk: { lengthBytes } }) => isBackground && arrivedBytes < lengthBytes,
    );
    const sizeBytes = inBackground.reduce((sum, flight) => sum + leasedBytes(flight.chunk), leasedBytes(chunk));
    if (inBackground.length > 0 && sizeBytes > memory.budgetBytes * BACKGROUND_SHARE) return undefined;
    const lease = memory.isRelaxed ? memory.tryLease(chunk.lengthBytes, 'fill') : undefined;
    if (lease === undefined) return undefined;
    return this.#run({ ...order, demand: 'new', lease }, undefined);
  }

  /** Resolves when no fill is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) {
      this.#context.commitTurns.hurry();
      await Promise.allSettled(this.#running);
    }
  }

  #start(request: FlightRequest): Flight {
    const { chunk, demand, knownAbsent, overwrite = false } = request;
    const lease = demand === 'ahead' ? this.#context.memory.tryLease(chunk.lengthBytes, 'fill') : undefined;
    if (demand === 'ahead' && lease === undefined) throw new OrcaError('overloaded', 'no spare memory for read-ahead');
    const order: FillOrder = { chunk, demand: demand === 'ahead' ? 'new' : demand, knownAbsent, overwrite, lease };
    return this.#run(order, request.onFailed);
  }

  #run(order: FillOrder, onFailed: FlightRequest['onFailed']): Flight {
    const { chunk } = order;
    const ended = new AbortController();
    const flight = new Flight(chunk);
    this.#fills.set(flight, ended);
    const unsubscribe = flight.onRank(() => this.#onRank(flight));
    this.#table.add(chunk.path, flight);
    const run = runFill(this.#context, order, flight, ended.signal).then(
      () => {
        this.#leave(flight);
        flight.finish();
      },
      (error: unknown) => {
        // Out of the table first: a reader that retries after the failure must start a new fill.
        this.#leave(flight);
        this.#context.observer.fill(ended.signal.aborted ? 'cancelled' : 'failed');
        flight.fail(error);
        // Before its memory is released: callers that wait for memory count what is still to come.
        this.#fills.delete(flight);
        flight.bytes?.drop();
        onFailed?.(error);
      },
    );
    this.#running.add(run);
    void run.finally(() => {
      this.#running.delete(run);
      this.#fills.delete(flight);
      this.#context.commitTurns.follow(flight, false);
      unsubscribe();
    });
    return flight;
  }

  #leave(flight: Flight): void {
    this.#table.remove(flight.chunk.path, flight);
  }

  /** The last reader or prewarm has left, or one has joined after that. */
  #onRank(flight: Flight): void {
    this.#context.commitTurns.follow(flight, !flight.isBackground);
    if (!flight.isBackground) return;
    if (!flight.isPaidFor && !flight.isWarm) this.#end(flight, 'the fill has no readers any more');
    else {
      this.#limitBackground();
      // Callers that wait for memory may have that of this fill.
      this.#context.memory.reconsider();
    }
  }

  #limitBackground(): void {
    const limitBytes = this.#context.memory.budgetBytes * BACKGROUND_SHARE;
    const background = this.#inBackground();
    let sizeBytes = background.reduce((sum, flight) => sum + sizeOf(flight), 0);
    for (const flight of background.slice(0, -1)) {
      if (sizeBytes <= limitBytes) return;
      sizeBytes -= sizeOf(flight);
      this.#end(flight, 'too many fills have no readers any more');
    }
  }

  /** Ends fills without readers for callers that wait for memory. */
  #giveWay(neededBytes: number): void {
    let missingBytes = neededBytes;
    // What is committed can be evicted.
    this.#context.commitTurns.hurry();
    // The memory of a fill is released when its last request has ended.
    for (const [flight, { signal }] of this.#fills) if (signal.aborted) missingBytes -= sizeOf(flight);
    for (const flight of this.#inBackground()) {
      if (missingBytes <= 0) return;
      missingBytes -= sizeOf(flight);
      this.#end(flight, 'a client needs the memory of a fill without readers');
    }
  }

  /** Fills without readers, those with the fewest bytes first: these cost least if they are started again. */
  #inBackground(): Flight[] {
    return [...this.#fills]
      .filter(([flight, { signal }]) => flight.isBackground && !signal.aborted && isFetching(flight))
      .map(([flight]) => flight)
      .toSorted((a, b) => a.arrivedBytes - b.arrivedBytes);
  }

  #end(flight: Flight, reason: string): void {
    this.#leave(flight);
    this.#fills.get(flight)?.abort(new OrcaError('cancelled', reason));
  }
}

function leasedBytes({ lengthBytes }: Chunk): number {
  const { segmentBytes, count } = segmentsFor(lengthBytes);
  return segmentBytes * count;
}

function sizeOf({ bytes }: Flight): number {
  return bytes?.sizeBytes ?? 0;
}

/** It holds memory, and has more to do than its commit. */
function isFetching({ bytes, arrivedBytes, chunk }: Flight): boolean {
  return bytes !== undefined && arrivedBytes < chunk.lengthBytes;
}
