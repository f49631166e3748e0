/**
 * When a warm fill may begin: with idle memory, and while the commits keep up, since what it fetches is
 * fetched to be stored. In order of arrival.
 */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Flight } from '#cache/engine/fill/flight.ts';
import type { Flights } from '#cache/engine/fill/flights.ts';
import type { Outbox } from '#cache/engine/fill/outbox.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Each is a call of a walker, which has at most this many in the whole cluster. */
const MAX_WAITING = 1_024;
/** Then the walker reports that there is no room, and tries again. */
const WAIT_MS = 60_000;
/** Ends of fills are noticed at once; this is for memory that clients release. */
const POLL_MS = 100;

export interface Started {
  readonly flight: Flight;
  /** False for a fill that was running already. */
  readonly isNew: boolean;
}

export interface WarmOrder {
  readonly chunk: Chunk;
  /** The cachestore's copy is corrupt. */
  readonly overwrite: boolean;
  /** False when the cachestore may have the chunk by now: the fill looks again. */
  readonly isKnownAbsent: () => boolean;
  /** False when this replica does not own the chunk any more: it is leaving, and waits for its last fills. */
  readonly isOurs: () => boolean;
}

interface Place extends WarmOrder {
  readonly fail: (error: unknown) => void;
  /** Undefined: the chunk is in memory by now. */
  readonly grant: (started: Started | undefined) => void;
}

export interface AdmissionOptions {
  readonly flights: Flights;
  readonly outbox: Outbox;
  readonly clock: Clock;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #places: Place[] = [];
  #cancelPoll: (() => void) | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#places.length;
  }

  /**
   * The chunk's fill, when there is room for it; undefined when the chunk is in memory by then. Rejects with overloaded, or
   * with not_coordinator.
   */
  begin(order: WarmOrder, signal: AbortSignal): Promise<Started | undefined> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#places.length >= MAX_WAITING)
      return Promise.reject(overloaded(`${MAX_WAITING} chunks wait to be warmed already`));
    const { promise, resolve, reject } = Promise.withResolvers<Started | undefined>();
    const leave = (): void => {
      const at = this.#places.indexOf(place);
      if (at >= 0) this.#places.splice(at, 1);
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const place: Place = {
      ...order,
      fail: (error) => {
        leave();
        reject(error);
      },
      grant: (started) => {
        leave();
        resolve(started);
      },
    };
    const fail = (error: unknown): void => {
      place.fail(error);
      this.reconsider();
    };
    const onAbort = (): void => fail(signal.reason);
    const cancelTimer = this.#options.clock.after(WAIT_MS, () => fail(overloaded(this.#obstacle())));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#places.push(place);
    this.reconsider();
    return promise;
  }

  /** A fill has ended, or a commit. */
  reconsider(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    for (let first = this.#places[0]; first !== undefined && this.#start(first); first = this.#places[0]);
    if (this.#places.length > 0) this.#cancelPoll = this.#options.clock.after(POLL_MS, () => this.reconsider());
  }

  #start({ chunk, overwrite, isKnownAbsent, isOurs, grant, fail }: Place): boolean {
    const { flights, outbox } = this.#options;
    const running = flights.get(chunk.path);
    if (running === undefined && !isOurs()) {
      fail(new OrcaError('not_coordinator', 'the chunk has another coordinator by now'));
      return true;
    }
    const order = { chunk, overwrite, knownAbsent: isKnownAbsent() };
    const flight = running ?? (outbox.keepsUp ? flights.enterIdle(order) : undefined);
    if (flight === undefined) return false;
    grant(flight === 'held' ? undefined : { flight, isNew: running === undefined });
    return true;
  }

  #obstacle(): string {
    const what = this.#options.outbox.keepsUp ? 'clients need the memory' : 'the cachestore does not keep up';
    return `no chunk could be warmed within ${WAIT_MS / 1000} s: ${what}`;
  }
}

function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: 1_000 });
}
