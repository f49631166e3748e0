/**
 * Keys that want work. A key is in it once, however often it is added; while somebody works on it, it waits, so that
 * no two work on the same; what failed comes back later and later; and what has just changed comes before what is only
 * looked at again, so that a person does not wait for hundreds of other caches. After client-go's queue.
 */
import type { Clock } from '#shared/clock.ts';

/** Whether somebody may wait for it, or only the time has come to look again. */
export type Urgency = 'changed' | 'due';

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
/** At most 25 caches a second are only looked at again: a dozen reads each, which a busy API server does not feel. */
const DUE_EVERY_MS = 40;
/** More caches than one cluster has. Beyond it keys are dropped, and the next list brings them again. */
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
  /** Waiting, oldest first, with the time of the first add: those that have changed, and those that are only due. */
  readonly #waiting: Readonly<Record<Urgency, Map<string, number>>> = { changed: new Map(), due: new Map() };
  /** Worked on, since when. */
  readonly #active = new Map<string, number>();
  /** Added again while worked on. */
  readonly #again = new Map<string, { readonly sinceMs: number; readonly urgency: Urgency }>();
  readonly #timers = new Map<string, Timer>();
  /** From when on the next one that is only due may be taken. */
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

  /** How long the running works last so far, in ms. */
  activeMs(): readonly number[] {
    return [...this.#active.values()].map((sinceMs) => this.#clock.now() - sinceMs);
  }

  add(key: string, urgency: Urgency = 'changed'): void {
    if (this.#isAdded(key, urgency)) return;
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

  /** What was only due and has changed now moves up; it is the same addition. */
  #isAdded(key: string, urgency: Urgency): boolean {
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

  /** At most one time is kept for a key, the earliest. */
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

  /** Again after a pause that doubles with each failure in a row; between half of it and all of it. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observe.retried?.();
    const boundMs = Math.min(RETRY_INITIAL_MS * 2 ** failures, RETRY_MAX_MS);
    // It may be a change that did not come through.
    this.addAfter(key, (boundMs / 2) * (1 + this.#random()), 'changed');
  }

  /** The key went well: its next failure is a first one. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now the caller's until `done`; undefined once the signal aborts. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted) {
      const first = this.#take();
      if (first !== undefined) {
        const [key, sinceMs] = first;
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
    const again = this.#again.get(key);
    if (again === undefined) return;
    this.#again.delete(key);
    this.#waiting[again.urgency].set(key, again.sinceMs);
    this.#wake.shift()?.();
  }

  /** Cancels what is planned; what is worked on is the workers' to end. */
  close(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#waiting.changed.clear();
    this.#waiting.due.clear();
  }

  /** The first of those that have changed, else of those that are due, if their time has come. */
  #take(): readonly [string, number] | undefined {
    const { changed, due } = this.#waiting;
    const nowMs = this.#clock.now();
    const isPaced = changed.size === 0;
    if (isPaced && nowMs < this.#nextDueMs) return undefined;
    const from = isPaced ? due : changed;
    const [first] = from;
    if (first === undefined) return undefined;
    from.delete(first[0]);
    if (isPaced) this.#nextDueMs = nowMs + DUE_EVERY_MS;
    return first;
  }

  /** Resolves when there may be something to take. */
  #added(signal: AbortSignal): Promise<void> {
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
