/**
 * Virtual time and its events, one after the other. Between two events, all promises that can settle do so. So a run
 * depends only on the order of events, which is derived from the seed.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';

/** The process of an event: a frozen process gets its events when it resumes, a dead one never. */
export interface Owner {
  readonly name: string;
  state: 'running' | 'frozen' | 'dead';
  /** File operations that have not returned, although their calls have ended: they keep memory. */
  hungOperations?: number;
}

/** The owner of events outside all processes: of the network and the fault schedule. */
export const NO_OWNER: Owner = { name: '-', state: 'running' };

export class Violation extends Error {
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}

interface Event {
  readonly dueMs: number;
  readonly order: number;
  readonly owner: Owner;
  readonly label: string;
  readonly action: () => void;
  cancelled: boolean;
}

export const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Far more than any run needs: a run with more events is an endless loop. */
const MAX_EVENTS = 400_000;

export class World {
  readonly #heap: Event[] = [];
  readonly #backlog = new Map<Owner, Event[]>();
  readonly #trace = createHash('sha256');
  readonly #log: ((line: string) => void) | undefined;
  readonly #afterEach: (() => void)[] = [];
  #order = 0;
  #nowMs = 0;
  #violation: Violation | undefined;

  constructor(log?: (line: string) => void) {
    this.#log = log;
  }

  /** Since the start of the run. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Changes with every event. */
  get order(): number {
    return this.#order;
  }

  get violation(): Violation | undefined {
    return this.#violation;
  }

  /** Called after each event, when all promises have settled. */
  afterEach(check: () => void): void {
    this.#afterEach.push(check);
  }

  /** The first violation ends the run. */
  violate(invariant: string, message: string): void {
    this.note('violation', `${invariant}: ${message}`);
    this.#violation ??= new Violation(invariant, message);
  }

  /** Adds to the trace by which two runs are compared. */
  note(label: string, text: string): void {
    this.#trace.update(`${this.#order}\0${this.#nowMs}\0${label}\0${text}\n`);
    this.#log?.(`${this.#nowMs.toFixed(3).padStart(12)} ${label.padEnd(12)} ${text}`);
  }

  traceHash(): string {
    return this.#trace.copy().digest('hex');
  }

  at(delayMs: number, owner: Owner, label: string, action: () => void): () => void {
    const event = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, owner, label, action } as const;
    const entry: Event = { ...event, cancelled: false };
    push(this.#heap, entry);
    return () => {
      entry.cancelled = true;
    };
  }

  /** A clock of one process: its `date` may step. */
  clockOf(owner: Owner, offsetMs: () => number, pending: Set<object>): Clock {
    const after = (ms: number, callback: () => void): (() => void) => {
      const timer = {};
      pending.add(timer);
      const cancel = this.at(ms, owner, 'timer', () => {
        pending.delete(timer);
        callback();
      });
      return () => {
        pending.delete(timer);
        cancel();
      };
    };
    return {
      now: () => EPOCH_MS + Math.floor(this.#nowMs),
      date: () => EPOCH_MS + Math.floor(this.#nowMs) + offsetMs(),
      after,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) {
            reject(signal.reason);
            return;
          }
          const onAbort = (): void => {
            cancel();
            reject(signal?.reason);
          };
          const cancel = after(ms, () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          });
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }

  /** Delivers, in order, the events that a process missed while it was frozen. */
  thaw(owner: Owner): void {
    if (owner.state !== 'frozen') return;
    owner.state = 'running';
    for (const event of this.#backlog.get(owner) ?? [])
      if (!event.cancelled) this.at(0, owner, event.label, () => event.cancelled || event.action());
    this.#backlog.delete(owner);
  }

  /** Runs all events up to `untilMs`, or until `done` returns true; stops at the first violation. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    await this.#settle('start');
    while (this.#violation === undefined && !done()) {
      const event = this.#heap[0];
      if (event === undefined || event.dueMs > untilMs) break;
      pop(this.#heap);
      if (event.cancelled || event.owner.state === 'dead') continue;
      if (event.owner.state === 'frozen') {
        const missed = this.#backlog.get(event.owner);
        if (missed === undefined) this.#backlog.set(event.owner, [event]);
        else missed.push(event);
        continue;
      }
      this.#nowMs = Math.max(this.#nowMs, event.dueMs);
      this.#trace.update(`${event.order}\0${event.dueMs}\0${event.owner.name}\0${event.label}\n`);
      event.action();
      await this.#settle(event.label);
    }
    if (this.#violation === undefined && !done()) this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  async #settle(label: string): Promise<void> {
    // One turn of the event loop: afterwards every promise that could settle has done so, and nothing else is pending.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    if (this.#order > MAX_EVENTS) this.violate('bounded', `more than ${MAX_EVENTS} events, the last of them ${label}`);
    for (const check of this.#afterEach) check();
  }
}

function before(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
