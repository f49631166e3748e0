/** The queue of callers that wait for memory: first come, first served in each class, with a limit on each wait. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock, Demand } from '#cache/engine/ports.ts';
import type { Purpose } from './lease.ts';

/** How long a new request waits before it is refused with Retry-After. */
export const NEW_WAIT_MS = 5_000;
/** A response that has started waits until its client would time out. */
export const STARTED_WAIT_MS = 60_000;
/** In each class. As many as there may be clients (edge.maxConnections): more could only be a leak. */
const MAX_WAITING = 4_096;
/** Long enough to release a chunk or two; clients spread their retries by their own jitter. */
const RETRY_AFTER_MS = 1_000;

export interface Need {
  readonly segmentBytes: number;
  readonly costBytes: number;
  readonly purpose: Purpose;
}

interface Waiter {
  readonly need: Need;
  grant(): void;
}

export class LeaseQueue {
  readonly #clock: Clock;
  readonly #onFailed: () => void;
  readonly #waiting: Readonly<Record<Demand, Waiter[]>> = { started: [], new: [] };

  /** `onFailed` is called when a caller stops waiting: the next one may need less, and fit where this one did not. */
  constructor(clock: Clock, onFailed: () => void) {
    this.#clock = clock;
    this.#onFailed = onFailed;
  }

  count(demand: Demand): number {
    return this.#waiting[demand].length;
  }

  get isEmpty(): boolean {
    return this.#waiting.started.length === 0 && this.#waiting.new.length === 0;
  }

  /** Whether a caller of this class has to queue behind others. */
  mustQueue(demand: Demand): boolean {
    return this.#waiting.started.length > 0 || (demand === 'new' && this.#waiting.new.length > 0);
  }

  /** Resolves when `admit` has granted the memory; rejects with `overloaded` after too long, or the signal's reason. */
  wait(need: Need, demand: Demand, signal: AbortSignal): Promise<void> {
    const queue = this.#waiting[demand];
    if (queue.length >= MAX_WAITING) return Promise.reject(overloaded('too many requests are waiting for memory'));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      const at = queue.indexOf(waiter);
      if (at >= 0) queue.splice(at, 1);
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      leave();
      reject(error);
      this.#onFailed();
    };
    const waiter: Waiter = {
      need,
      grant: () => {
        leave();
        resolve();
      },
    };
    const onAbort = () => fail(signal.reason);
    const limitMs = demand === 'new' ? NEW_WAIT_MS : STARTED_WAIT_MS;
    const cancelTimer = this.#clock.after(limitMs, () => fail(overloaded(`no memory within ${limitMs} ms`)));
    signal.addEventListener('abort', onAbort, { once: true });
    queue.push(waiter);
    return promise;
  }

  /** Grants memory to callers in order, for as long as `charge` accepts. No new request passes a started response. */
  admit(charge: (need: Need) => boolean): void {
    for (const demand of ['started', 'new'] as const) {
      const queue = this.#waiting[demand];
      for (let first = queue[0]; first !== undefined && charge(first.need); first = queue[0]) first.grant();
      if (queue.length > 0) return;
    }
  }
}

function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: RETRY_AFTER_MS });
}
