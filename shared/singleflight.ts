/**
 * Singleflight: concurrent calls with the same key are coalesced into one, and all callers share its outcome. The
 * pattern and the name are Go's (`golang.org/x/sync/singleflight`). No caller owns the call: one that stops waiting
 * does not affect other callers.
 */

/** One call in flight. */
export interface CallInFlight {
  /** Set by `forget`: the outcome is outdated, and only callers that are already waiting receive it. */
  readonly isForgotten: boolean;
}

export class Singleflight<K, V> {
  readonly #flights = new Map<K, { readonly promise: Promise<V>; isForgotten: boolean }>();

  /** Calls in flight. */
  get size(): number {
    return this.#flights.size;
  }

  /** The call in flight for `key`, if there is one. */
  current(key: K): Promise<V> | undefined {
    return this.#flights.get(key)?.promise;
  }

  /** Joins the call in flight for `key`, or starts it. Rejects with the call's error. */
  do(key: K, call: (flight: CallInFlight) => Promise<V>): Promise<V> {
    const joined = this.#flights.get(key);
    if (joined !== undefined) return joined.promise;
    const { promise, resolve, reject } = Promise.withResolvers<V>();
    const flight = { promise, isForgotten: false };
    // A failure after the last caller stopped waiting is not an unhandled rejection.
    promise.catch(() => {});
    this.#flights.set(key, flight);
    const leave = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    // The key is removed before callers see the outcome, so a caller that retries after a failure starts a new call.
    Promise.try(call, flight).then(
      (value) => {
        leave();
        resolve(value);
      },
      (error: unknown) => {
        leave();
        reject(error);
      },
    );
    return promise;
  }

  /** Later callers start a new call, even while one for `key` is in flight. */
  forget(key: K): void {
    const flight = this.#flights.get(key);
    if (flight === undefined) return;
    flight.isForgotten = true;
    this.#flights.delete(key);
  }
}
