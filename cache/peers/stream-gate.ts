/**
 * Semaphore for the streams to one peer: a fixed number run at once; further ones wait in order of arrival, up to a
 * maximum number and time.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { cancelledBy } from '#cache/wire/http1/sink.ts';
import type { Clock } from '#shared/clock.ts';

export interface StreamGate {
  /** Resolves with the function that frees the slot; rejects with `overloaded`, or with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void>;
  readonly active: number;
}

export interface StreamGateOptions {
  readonly maxActive: number;
  readonly maxWaiting: number;
  readonly waitMs: number;
}

export function streamGate({ maxActive, maxWaiting, waitMs }: StreamGateOptions, clock: Clock): StreamGate {
  let active = 0;
  /** In order of arrival. */
  const waiting = new Set<() => void>();

  function leaveOnce(): () => void {
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      active -= 1;
      const [next] = waiting;
      next?.();
    };
  }
  function overloaded(message: string): OrcaError {
    return new OrcaError('overloaded', message, { retryAfterMs: 1000 });
  }

  return {
    get active() {
      return active;
    },
    async enter(signal) {
      if (signal.aborted) throw cancelledBy(signal);
      if (active >= maxActive) {
        if (waiting.size >= maxWaiting)
          throw overloaded(`${maxWaiting} requests already wait for a stream to the peer`);
        await turn(signal);
      } else active += 1;
      return leaveOnce();
    },
  };

  /** The slot is handed over directly, so that a later arrival can't take it first. */
  function turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        waiting.delete(enter);
        cancel();
        signal.removeEventListener('abort', onAbort);
        finish();
      };
      const enter = (): void => {
        active += 1;
        settle(resolve);
      };
      const onAbort = (): void => settle(() => reject(cancelledBy(signal)));
      const cancel = clock.after(waitMs, () =>
        settle(() => reject(overloaded(`no stream to the peer became free within ${waitMs} ms`))),
      );
      waiting.add(enter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
