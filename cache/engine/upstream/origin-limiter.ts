/**
 * A semaphore for concurrent origin requests: this replica's share of the cluster-wide limit, with a bounded queue per
 * bucket. While another bucket waits, one bucket holds at most half of the slots, so that load on one starves no other.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Per bucket: four parts for each of 256 fills. A longer queue would exceed the queue timeout anyway. */
const MAX_QUEUED = 1_024;

export interface LimiterOptions {
  readonly targetGlobal: () => number;
  /** Live replicas, at least 1. */
  readonly replicas: () => number;
  readonly queueTimeoutMs: number;
  readonly clock: Clock;
}

interface Waiter {
  /** Its position among the waiters of all buckets. */
  readonly order: number;
  readonly admit: () => void;
}

/** One bucket's queue. Only buckets of the allow-list have one, and it is removed when nothing runs or waits. */
interface Queue {
  running: number;
  readonly waiting: Waiter[];
}

export class OriginLimiter {
  readonly #options: LimiterOptions;
  readonly #queues = new Map<string, Queue>();
  #running = 0;
  #queued = 0;
  #order = 0;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queued;
  }

  get slots(): number {
    return Math.max(1, Math.floor(this.#options.targetGlobal() / Math.max(1, this.#options.replicas())));
  }

  /** Runs `task` in a slot; rejects with `overloaded` if all slots stay taken for too long. */
  async run<T>(bucket: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#enter(bucket, signal);
    try {
      return await task();
    } finally {
      this.#leave(bucket);
    }
  }

  async #enter(bucket: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const queue = this.#queueOf(bucket);
    if (this.#queued === 0 && this.#running < this.slots) {
      queue.running++;
      this.#running++;
      return;
    }
    if (queue.waiting.length >= MAX_QUEUED) throw overloaded(`the queue for ${bucket} at the origin is full`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stopWaiting = () => {
      queue.waiting.splice(queue.waiting.indexOf(waiter), 1);
      this.#queued--;
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const waiter: Waiter = {
      order: this.#order++,
      admit: () => {
        stopWaiting();
        queue.running++;
        this.#running++;
        resolve();
      },
    };
    const giveUp = (error: unknown) => {
      stopWaiting();
      this.#forget(bucket, queue);
      reject(error);
    };
    const onAbort = () => giveUp(signal.reason);
    const { queueTimeoutMs } = this.#options;
    const cancelTimer = this.#options.clock.after(queueTimeoutMs, () =>
      giveUp(overloaded(`no free slot at the origin within ${queueTimeoutMs} ms`)),
    );
    signal.addEventListener('abort', onAbort, { once: true });
    queue.waiting.push(waiter);
    this.#queued++;
    this.#admit();
    await promise;
  }

  #leave(bucket: string): void {
    const queue = this.#queueOf(bucket);
    queue.running--;
    this.#running--;
    this.#forget(bucket, queue);
    this.#admit();
  }

  #admit(): void {
    while (this.#running < this.slots) {
      const next = this.#next();
      if (next === undefined) return;
      next.admit();
    }
  }

  /** The first waiter of all buckets that may have one more slot. */
  #next(): Waiter | undefined {
    const waiting = [...this.#queues.values()].filter((queue) => queue.waiting.length > 0);
    // Rounded up: with an odd number no slot stays free while a request waits, and a single slot serves all in turn.
    const half = Math.ceil(this.slots / 2);
    let first: Waiter | undefined;
    for (const {
      running,
      waiting: [waiter],
    } of waiting) {
      if (waiter === undefined || (waiting.length > 1 && running >= half)) continue;
      if (first === undefined || waiter.order < first.order) first = waiter;
    }
    return first;
  }

  #queueOf(bucket: string): Queue {
    const queue = this.#queues.get(bucket) ?? { running: 0, waiting: [] };
    this.#queues.set(bucket, queue);
    return queue;
  }

  #forget(bucket: string, queue: Queue): void {
    if (queue.running === 0 && queue.waiting.length === 0) this.#queues.delete(bucket);
  }
}

/** Retry-After as for memory: a slot becomes free with the next response. */
function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: 1_000 });
}
