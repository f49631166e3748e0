/**
 * How many requests this replica may have at the origin at once: its share of the cluster's, with a bounded line for
 * each bucket. While another bucket waits, one holds at most half of the slots, so that a crowd on one keeps none out.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** For each bucket. Four parts for each of 256 fills: behind that, waiting is longer than the queue timeout anyway. */
const MAX_QUEUED = 1_024;

export interface LimiterOptions {
  readonly targetGlobal: () => number;
  /** Live replicas, at least 1. */
  readonly replicas: () => number;
  readonly queueTimeoutMs: number;
  readonly clock: Clock;
}

interface Waiter {
  /** Its place among all buckets' waiters. */
  readonly order: number;
  readonly admit: () => void;
}

/** Only buckets of the allow-list come this far, and one is forgotten when nothing of it runs or waits. */
interface Line {
  running: number;
  readonly waiting: Waiter[];
}

export class OriginLimiter {
  readonly #options: LimiterOptions;
  readonly #lines = new Map<string, Line>();
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

  /** Runs `task` in a slot; rejects with `overloaded` if none is free in time. */
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
    const line = this.#lineOf(bucket);
    if (this.#queued === 0 && this.#running < this.slots) {
      line.running++;
      this.#running++;
      return;
    }
    if (line.waiting.length >= MAX_QUEUED) throw overloaded(`the queue for ${bucket} at the origin is full`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stopWaiting = () => {
      line.waiting.splice(line.waiting.indexOf(waiter), 1);
      this.#queued--;
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const waiter: Waiter = {
      order: this.#order++,
      admit: () => {
        stopWaiting();
        line.running++;
        this.#running++;
        resolve();
      },
    };
    const giveUp = (error: unknown) => {
      stopWaiting();
      this.#forget(bucket, line);
      reject(error);
    };
    const onAbort = () => giveUp(signal.reason);
    const { queueTimeoutMs } = this.#options;
    const cancelTimer = this.#options.clock.after(queueTimeoutMs, () =>
      giveUp(overloaded(`no turn at the origin within ${queueTimeoutMs} ms`)),
    );
    signal.addEventListener('abort', onAbort, { once: true });
    line.waiting.push(waiter);
    this.#queued++;
    this.#admit();
    await promise;
  }

  #leave(bucket: string): void {
    const line = this.#lineOf(bucket);
    line.running--;
    this.#running--;
    this.#forget(bucket, line);
    this.#admit();
  }

  #admit(): void {
    while (this.#running < this.slots) {
      const next = this.#next();
      if (next === undefined) return;
      next.admit();
    }
  }

  /** Who came first, of the buckets that may have one slot more. */
  #next(): Waiter | undefined {
    const waiting = [...this.#lines.values()].filter((line) => line.waiting.length > 0);
    // Rounded up: with an odd number no slot stays free while somebody waits, and a single one serves all in turn.
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

  #lineOf(bucket: string): Line {
    const line = this.#lines.get(bucket) ?? { running: 0, waiting: [] };
    this.#lines.set(bucket, line);
    return line;
  }

  #forget(bucket: string, line: Line): void {
    if (line.running === 0 && line.waiting.length === 0) this.#lines.delete(bucket);
  }
}

function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: 1_000 });
}
