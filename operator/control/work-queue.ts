/**
 * Keys that want work. A key is in it once, however often it is added; while somebody works on it, it waits, so that
 * no two work on the same; what failed comes back later and later. After client-go's queue.
 */
import type { Clock } from '#shared/clock.ts';

export interface QueueObserver {
  added(): void;
  retried(): void;
  /** A worker took a key that had waited so long. */
  taken(waitedMs: number): void;
  finished(workedMs: number): void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly maxKeys?: number;
  readonly observe?: Partial<QueueObserver>;
}

/** A conflict is over in milliseconds; what still fails after ten tries is looked at every few minutes. */
const RETRY_INITIAL_MS = 5;
const RETRY_MAX_MS = 5 * 60_000;
/** More caches than one cluster has. Beyond it keys are dropped, and the next list brings them again. */
const MAX_KEYS = 100_000;

export class WorkQueue {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxKeys: number;
  readonly #observe: Partial<QueueObserver>;
  /** Waiting, oldest first, with the time of the first add. */
  readonly #waiting = new Map<string, number>();
  /** Worked on, since when. */
  readonly #active = new Map<string, number>();
  /** Added again while worked on. */
  readonly #again = new Map<string, number>();
  readonly #timers = new Map<string, { readonly dueMs: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #wake: (() => void)[] = [];
  #dropped = 0;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    this.#observe = options.observe ?? {};
  }

  get depth(): number {
    return this.#waiting.size + this.#again.size;
  }

  get active(): number {
    return this.#active.size;
  }

  /** Keys refused because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** How long the running works last so far, in ms. */
  activeMs(): readonly number[] {
    return [...this.#active.values()].map((sinceMs) => this.#clock.now() - sinceMs);
  }

  add(key: string): void {
    if (this.#waiting.has(key) || this.#again.has(key)) return;
    if (this.depth >= this.#maxKeys) {
      this.#dropped += 1;
      return;
    }
    this.#observe.added?.();
    if (this.#active.has(key)) {
      this.#again.set(key, this.#clock.now());
      return;
    }
    this.#waiting.set(key, this.#clock.now());
    this.#wake.shift()?.();
  }

  /** At most one time is kept for a key, the earliest. */
  addAfter(key: string, afterMs: number): void {
    const dueMs = this.#clock.now() + afterMs;
    const planned = this.#timers.get(key);
    if (planned !== undefined && planned.dueMs <= dueMs) return;
    planned?.cancel();
    const cancel = this.#clock.after(afterMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { dueMs, cancel });
  }

  /** Again after a pause that doubles with each failure in a row; between half of it and all of it. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observe.retried?.();
    const boundMs = Math.min(RETRY_INITIAL_MS * 2 ** failures, RETRY_MAX_MS);
    this.addAfter(key, (boundMs / 2) * (1 + this.#random()));
  }

  /** The key went well: its next failure is a first one. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now the caller's until `done`; undefined once the signal aborts. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        const [key, sinceMs] = first;
        this.#waiting.delete(key);
        this.#active.set(key, this.#clock.now());
        this.#observe.taken?.(this.#clock.now() - sinceMs);
        return key;
      }
      await this.#added(signal);
    }
    return undefined;
  }

  done(key: string): void {
    const sinceMs = this.#active.get(key);
    if (sinceMs === undefined) return;
    this.#active.delete(key);
    this.#observe.finished?.(this.#clock.now() - sinceMs);
    const addedMs = this.#again.get(key);
    if (addedMs === undefined) return;
    this.#again.delete(key);
    this.#waiting.set(key, addedMs);
    this.#wake.shift()?.();
  }

  /** Cancels what is planned; what is worked on is the workers' to end. */
  close(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#waiting.clear();
  }

  #added(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#wake = this.#wake.filter((other) => other !== wake);
        resolve();
      };
      this.#wake.push(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
