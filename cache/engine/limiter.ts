/** How many requests this replica may have at the origin at once: its share of the cluster's, with a bounded queue. */
import { OrcaError } from '../core/errors.ts';
import type { Clock } from './ports.ts';

/** Four parts for each of 256 fills: behind that, waiting is longer than the queue timeout anyway. */
const MAX_QUEUED = 1_024;

export interface LimiterOptions {
  readonly targetGlobal: () => number;
  /** Live replicas, at least 1. */
  readonly replicas: () => number;
  readonly queueTimeoutMs: number;
  readonly clock: Clock;
}

export class OriginLimiter {
  readonly #options: LimiterOptions;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get slots(): number {
    return Math.max(1, Math.floor(this.#options.targetGlobal() / Math.max(1, this.#options.replicas())));
  }

  /** Runs `task` in a slot; rejects with `overloaded` if none is free in time. */
  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#enter(signal);
    try {
      return await task();
    } finally {
      this.#running--;
      this.#admit();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.slots && this.#queue.length === 0) {
      this.#running++;
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) throw overloaded('the queue for the origin is full');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      const at = this.#queue.indexOf(admit);
      if (at >= 0) this.#queue.splice(at, 1);
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const admit = () => {
      leave();
      this.#running++;
      resolve();
    };
    const onAbort = () => {
      leave();
      reject(signal.reason);
    };
    const { queueTimeoutMs } = this.#options;
    const cancelTimer = this.#options.clock.after(queueTimeoutMs, () => {
      leave();
      reject(overloaded(`no turn at the origin within ${queueTimeoutMs} ms`));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(admit);
    await promise;
  }

  #admit(): void {
    while (this.#running < this.slots && this.#queue[0] !== undefined) this.#queue[0]();
  }
}

function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: 1_000 });
}
