/**
 * Coalesces lookups of heads. A caller shares a call that is in flight only if its outcome is recent enough: the origin
 * may have answered that call before a write that the caller must see. Otherwise it waits until that call has ended, and
 * shares the next call with all other waiting callers.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { LearnedHead } from '#cache/core/peer/head-message.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { isAbsence } from './head-table.ts';

/** How old an outcome may be: learned after `sinceMs`, or in the same ms by a call that began later (`order`). */
interface Bound {
  readonly sinceMs: number;
  readonly order: number;
}

export interface HeadFlight {
  readonly startedMs: number;
  /** Set by `forget`: the outcome is outdated, and only callers that are already waiting receive it. */
  readonly isForgotten: boolean;
}

interface Flight extends HeadFlight {
  /** What its outcome is bound to satisfy. */
  readonly bound: Bound;
  readonly promise: Promise<LearnedHead>;
  isForgotten: boolean;
}

export class HeadFlights {
  readonly #clock: Clock;
  readonly #flights = new Map<string, Flight>();
  /** Of callers and calls: several may begin within one ms. */
  #order = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The outcome of a call that meets `maxAgeMs`, as of now. `ask` is called unless another caller's call is shared. */
  async do(name: string, maxAgeMs: number, ask: (flight: HeadFlight) => Promise<LearnedHead>): Promise<LearnedHead> {
    const wanted: Bound = { sinceMs: this.#clock.now() - maxAgeMs, order: this.#order++ };
    for (;;) {
      const flight = this.#flights.get(name);
      if (flight === undefined) return this.#start(name, maxAgeMs, ask).promise;
      if (satisfies(flight.bound, wanted)) return flight.promise;
      try {
        const learned = await flight.promise;
        if (learned.learnedMs > wanted.sinceMs) return learned;
      } catch (error) {
        // An error such as an outage concerns the origin, not a version of the object.
        if (!isAbsence(error) || flight.startedMs - ageOf(error) > wanted.sinceMs) throw error;
      }
    }
  }

  /** Later callers start a new call, even while one is in flight. */
  forget(name: string): void {
    const flight = this.#flights.get(name);
    if (flight === undefined) return;
    flight.isForgotten = true;
    this.#flights.delete(name);
  }

  #start(name: string, maxAgeMs: number, ask: (flight: HeadFlight) => Promise<LearnedHead>): Flight {
    const { promise, resolve, reject } = Promise.withResolvers<LearnedHead>();
    // A failure after the last caller stopped waiting is not an unhandled rejection.
    promise.catch(() => {});
    const startedMs = this.#clock.now();
    const bound = { sinceMs: startedMs - maxAgeMs, order: this.#order++ };
    const flight: Flight = { startedMs, bound, promise, isForgotten: false };
    this.#flights.set(name, flight);
    // The entry is removed before callers see the outcome, so one that calls again starts a new call.
    const leave = () => {
      if (this.#flights.get(name) === flight) this.#flights.delete(name);
    };
    Promise.try(ask, flight).then(
      (learned) => {
        leave();
        resolve(learned);
      },
      (error: unknown) => {
        leave();
        reject(error);
      },
    );
    return flight;
  }
}

function satisfies(bound: Bound, wanted: Bound): boolean {
  return bound.sinceMs > wanted.sinceMs || (bound.sinceMs === wanted.sinceMs && bound.order > wanted.order);
}

function ageOf(error: unknown): number {
  return error instanceof OrcaError ? (error.ageMs ?? 0) : 0;
}
