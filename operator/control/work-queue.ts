/**
 * The work queue of the controller, modeled on client-go's. A key is queued once, however often it is added. No worker
 * gets a key that another worker is processing. Failed keys are retried with exponential backoff. Changed keys come
 * before periodic rechecks, so that a user's change does not wait for hundreds of caches.
 */
import type { Clock } from '#shared/clock.ts';

/** `changed`: a user may be waiting for the result. `due`: a periodic recheck. */
export type Urgency = 'changed' | 'due';

export interface QueueObserver {
  added(): void;
  retried(): void;
  /** A worker took a key after it had waited for `waitedMs`. */
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

/** A write conflict is resolved within milliseconds. A key that keeps failing is retried every few minutes. */
const RETRY_INITIAL_MS = 5;
const RETRY_MAX_MS = 5 * 60_000;
/** At most 25 rechecks a second. Each makes a dozen reads, a load that a busy API server does not notice. */
const DUE_EVERY_MS = 40;
/** Far more caches than a cluster has. Further keys are dropped, and the next list adds them again. */
const MAX_KEYS = 100_000;

interface Timer {
  readonly dueMs: number;
  readonly cancel: () => void;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxKeys: number;
  readonly #observe: Partial<QueueObserver>;
  /** Queued keys by urgency, oldest first, with the time of their first add. */
  readonly #waiting: Readonly<Record<Urgency, Map<string, number>>> = { changed: new Map(), due: new Map() };
  /** Keys in progress, with their start time. */
  readonly #active = new Map<string, number>();
  /** Keys that were added again while in progress. */
  readonly #again = new Map<string, { readonly sinceMs: number; readonly urgency: Urgency }>();
  readonly #timers = new Map<string, Timer>();
  /** The earliest time for the next recheck. */
  #nextDueMs = 0;
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
    return this.#waiting.changed.size + this.#waiting.due.size + this.#again.size;
  }

  get active(): number {
    return this.#active.size;
  }

  /** Keys refused because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The age of each key in progress, in ms. */
  activeMs(): readonly number[] {
    return [...this.#active.values()].map((sinceMs) => this.#clock.now() - sinceMs);
  }

  add(key: string, urgency: Urgency = 'changed'): void {
    if (this.#isQueued(key, urgency)) return;
    if (this.depth >= this.#maxKeys) {
      this.#dropped += 1;
      return;
    }
    this.#observe.added?.();
    if (this.#active.has(key)) {
      this.#again.set(key, { sinceMs: this.#clock.now(), urgency });
      return;
    }
    this.#waiting[urgency].set(key, this.#clock.now());
    this.#wake.shift()?.();
  }

  /** A queued recheck whose cache has changed is promoted; that does not count as another add. */
  #isQueued(key: string, urgency: Urgency): boolean {
    const { changed, due } = this.#waiting;
    const again = this.#again.get(key);
    const sinceMs = due.get(key);
    if (urgency === 'changed' && sinceMs !== undefined) {
      due.delete(key);
      changed.set(key, sinceMs);
    }
    if (urgency === 'changed' && again !== undefined) this.#again.set(key, { ...again, urgency });
    return changed.has(key) || due.has(key) || again !== undefined;
  }

  /** Only the earliest time is kept for a key. */
  addAfter(key: string, afterMs: number, urgency: Urgency = 'due'): void {
    const dueMs = this.#clock.now() + afterMs;
    const planned = this.#timers.get(key);
    if (planned !== undefined && planned.dueMs <= dueMs) return;
    planned?.cancel();
    const cancel = this.#clock.after(afterMs, () => {
      this.#timers.delete(key);
      this.add(key, urgency);
    });
    this.#timers.set(key, { dueMs, cancel });
  }

  /** Adds the key after a backoff that doubles with each consecutive failure, with jitter down to half of it. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observe.retried?.();
    const boundMs = Math.min(RETRY_INITIAL_MS * 2 ** failures, RETRY_MAX_MS);
    // The failed attempt may have been for a change.
    this.addAfter(key, (boundMs / 2) * (1 + this.#random()), 'changed');
  }

  /** Resets the backoff of a key after a success. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Resolves with the next key, which the caller owns until `done`; with undefined when the signal aborts. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted) {
      const first = this.#take();
      if (first !== undefined) {
        const [key, sinceMs] = first;
        this.#active.set(key, this.#clock.now());
        this.#observe.taken?.(this.#clock.now() - sinceMs);
        return key;
      }
      await this.#available(signal);
    }
    return undefined;
  }

  done(key: string): void {
    const sinceMs = this.#active.get(key);
    if (sinceMs === undefined) return;
    this.#active.delete(key);
    this.#observe.finished?.(this.#clock.now() - sinceMs);
    const again = this.#again.get(key);
    if (again === undefined) return;
    this.#again.delete(key);
    this.#waiting[again.urgency].set(key, again.sinceMs);
    this.#wake.shift()?.();
  }

  /** Drops all queued and delayed keys. Keys in progress are not affected. */
  close(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#waiting.changed.clear();
    this.#waiting.due.clear();
  }

  /** The first changed key; without one, the first due key, if the rate limit permits. */
  #take(): readonly [string, number] | undefined {
    const { changed, due } = this.#waiting;
    const nowMs = this.#clock.now();
    const isRecheck = changed.size === 0;
    if (isRecheck && nowMs < this.#nextDueMs) return undefined;
    const from = isRecheck ? due : changed;
    const [first] = from;
    if (first === undefined) return undefined;
    from.delete(first[0]);
    if (isRecheck) this.#nextDueMs = nowMs + DUE_EVERY_MS;
    return first;
  }

  /** Resolves when a key may be available. */
  #available(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waitMs = this.#nextDueMs - this.#clock.now();
      const cancel =
        this.#waiting.due.size > 0 && waitMs > 0 ? this.#clock.after(waitMs, () => wake()) : () => undefined;
      const wake = (): void => {
        cancel();
        signal.removeEventListener('abort', wake);
        this.#wake = this.#wake.filter((other) => other !== wake);
        resolve();
      };
      this.#wake.push(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
