/**
 * Bounds on waiting for calls that may not stop by themselves, such as those of an SDK or a credential exchange. Only for
 * calls that return their result: one that writes into the caller's memory must end before its caller continues.
 */
import type { OrcaError } from '#cache/core/errors.ts';
import { withDeadline } from '#shared/abortable.ts';
import { systemClock } from '#shared/clock.ts';
import { cancelledBy } from './http1/sink.ts';

/** The outcome of `promise`, or the signal's error if it aborts first. The promise itself continues. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelledBy(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Runs `start` with a signal that aborts with `late` after `limitMs`, or when `parent` does, and does not wait longer
 * than that.
 */
export function withLimit<T>(
  limitMs: number,
  late: () => OrcaError,
  parent: AbortSignal | undefined,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withDeadline(systemClock, limitMs, late, parent, (signal) => {
    if (signal.aborted) throw cancelledBy(signal);
    return untilAborted(start(signal), signal);
  });
}
