/**
 * Values that may be known already. A step that knows its result returns it, and the next one runs in the same turn; a
 * step that has to wait returns a promise. A promise for each step of a read from memory would cost more than its bytes.
 */
export type Soon<T> = T | Promise<T>;

/** Continues with the value: at once, if it is known. An error of `step` is thrown or rejects, accordingly. */
export function andThen<T, R>(value: Soon<T>, step: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(step) : step(value);
}
