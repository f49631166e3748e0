/** Bounds on waiting: an abort signal, and a deadline on a given clock. */
import type { Clock } from './clock.ts';

/** A signal, or a function that creates it when it is first needed: a read from memory needs none. */
export type SignalSource = AbortSignal | (() => AbortSignal);

export function signalOf(source: SignalSource): AbortSignal {
  return typeof source === 'function' ? source() : source;
}

/** The promise's outcome, or the signal's reason, whichever is first; the promise itself continues. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Runs `call` with a signal that aborts with `error` after `limitMs`, or when `parent` does. */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  error: () => Error,
  parent: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const cancel = clock.after(limitMs, () => late.abort(error()));
  try {
    return await call(parent === undefined ? late.signal : AbortSignal.any([parent, late.signal]));
  } finally {
    cancel();
  }
}
