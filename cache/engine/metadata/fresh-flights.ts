/**
 * Coalesces calls to the origin, with a bound for callers that accept no age. Such a caller may have written just now: a
 * call that is in flight may not have seen the write, so all of them share the next call.
 */
import { Singleflight } from '#shared/singleflight.ts';

export class FreshFlights<V> {
  readonly #calls = new Singleflight<string, V>();
  readonly #nextCalls = new Singleflight<string, V>();

  /** `acceptsAge`: the caller may share a call that started before its request. */
  do(name: string, acceptsAge: boolean, call: () => Promise<V>): Promise<V> {
    const inFlight = this.#calls.current(name);
    if (acceptsAge || inFlight === undefined) return this.#calls.do(name, call);
    return this.#nextCalls.do(name, async () => {
      await inFlight.catch(() => {});
      // From here on the next call has started, too early for later callers.
      this.#nextCalls.forget(name);
      return this.#calls.do(name, call);
    });
  }
}
