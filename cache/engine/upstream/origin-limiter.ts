/**
 * A semaphore for concurrent origin requests: this replica's share of the cluster-wide limit, with a bounded queue per
 * bucket. While another bucket waits, one bucket holds at most half of the slots, so that load on one starves no other.
 *
 * Tasks in the background take slots that no other task waits for, few at a time, and are preempted soon when one does.
 * Those of a prewarm may take half of the slots.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { Rank } from './rank.ts';

/** Per bucket: four parts for each of 256 fills. A longer queue would exceed the queue timeout anyway. */
const MAX_QUEUED = 1_024;
/**
 * The share of the slots for everything in the background, prewarms included, rounded up: the other half is free for a
 * client that comes.
 */
const WARM_SHARE = 1 / 2;
/** While more of the slots are free, a client may have more requests in flight: the next one still finds a slot. */
const ROOM_SHARE = 1 / 2;
/**
 * The share of the slots for tasks that no caller waits for, at least one. A task within this share may finish while others
 * wait: ending it would cost the bytes that are in flight. With fewer than 20 slots every one of them is preempted.
 */
const BACKGROUND_SHARE = 1 / 20;
/**
 * How long others wait until a task in the background is preempted. By then a fast origin has sent a whole part (8 MiB),
 * and a slow one has few bytes in flight: these are paid for, and lost.
 */
const PREEMPT_AFTER_MS = 1_000;
/** An origin that is busy for this long has no time for what no client needs. */
const BACKGROUND_WAIT_MS = 10 * 60_000;

export interface LimiterOptions {
  readonly targetGlobal: () => number;
  /** Live replicas, at least 1. */
  readonly replicas: () => number;
  readonly queueTimeoutMs: number;
  readonly clock: Clock;
}

interface Waiter {
  readonly rank: Rank;
  /** Its position among the waiters of all buckets. */
  readonly order: number;
  readonly admit: () => void;
}

/** One bucket's queue. Only buckets of the allow-list have one, and it is removed when nothing runs or waits. */
interface Queue {
  running: number;
  readonly waiting: Waiter[];
}

/** A running task that can be in the background. */
interface Turn {
  readonly rank: Rank;
  readonly preempted: AbortController;
  readonly unsubscribe: () => void;
}

const DEMAND: Rank = { isBackground: false, isWarm: false, onRank: () => () => {} };

export class OriginLimiter {
  readonly #options: LimiterOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #background: Waiter[] = [];
  /** Oldest first. */
  readonly #turns = new Set<Turn>();
  #running = 0;
  #queued = 0;
  #order = 0;
  #cancelPreemption: (() => void) | undefined;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  /** Without those in the background. */
  get queued(): number {
    return this.#queued;
  }

  get runningInBackground(): number {
    return this.#backgroundTurns().length;
  }

  get queuedInBackground(): number {
    return this.#background.length;
  }

  get slots(): number {
    return Math.max(1, Math.floor(this.#options.targetGlobal() / Math.max(1, this.#options.replicas())));
  }

  /** More than half of the slots are free, and no task waits for one. */
  get hasRoom(): boolean {
    return this.#queued === 0 && this.#running < this.slots * ROOM_SHARE;
  }

  /**
   * Runs `task` in a slot; rejects with `overloaded` if all slots stay taken for too long. With a `rank`, its signal
   * aborts when another task needs the slot, and `task` is called again when a slot is free: it must be able to resume.
   */
  async run<T>(
    bucket: string,
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
    rank: Rank = DEMAND,
  ): Promise<T> {
    for (;;) {
      const turn = await this.#enter(bucket, signal, rank);
      try {
        return await task(turn === undefined ? signal : AbortSignal.any([signal, turn.preempted.signal]));
      } catch (error) {
        if (turn?.preempted.signal.aborted !== true || signal.aborted) throw error;
      } finally {
        this.#leave(bucket, turn);
      }
    }
  }

  async #enter(bucket: string, signal: AbortSignal, rank: Rank): Promise<Turn | undefined> {
    signal.throwIfAborted();
    if (this.#isFree(rank)) return this.#start(bucket, rank);
    if (!rank.isBackground && this.#queueOf(bucket).waiting.length >= MAX_QUEUED)
      throw overloaded(`the queue for ${bucket} at the origin is full`);
    const { promise, resolve, reject } = Promise.withResolvers<Turn | undefined>();
    let leaveQueue = (): void => {};
    const wait = () => {
      leaveQueue = this.#wait(bucket, rank, {
        admit: () => {
          stopWaiting();
          resolve(this.#start(bucket, rank));
        },
        giveUp,
      });
    };
    const stopWaiting = () => {
      leaveQueue();
      unsubscribe();
      signal.removeEventListener('abort', onAbort);
    };
    const giveUp = (error: unknown) => {
      stopWaiting();
      this.#forget(bucket);
      this.#makeRoom();
      reject(error);
    };
    const onAbort = () => giveUp(signal.reason);
    const unsubscribe = rank.onRank(() => {
      leaveQueue();
      wait();
      this.#admit();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    wait();
    this.#admit();
    return promise;
  }

  /** Adds a waiter to the queue of its rank, until the returned function is called. */
  #wait(
    bucket: string,
    rank: Rank,
    waiter: { readonly admit: () => void; readonly giveUp: (error: unknown) => void },
  ): () => void {
    const { isBackground } = rank;
    const queue = isBackground ? this.#background : this.#queueOf(bucket).waiting;
    const entry: Waiter = { rank, order: this.#order++, admit: waiter.admit };
    queue.push(entry);
    if (!isBackground) this.#queued++;
    const limitMs = isBackground ? BACKGROUND_WAIT_MS : this.#options.queueTimeoutMs;
    const cancelTimer = this.#options.clock.after(limitMs, () =>
      waiter.giveUp(overloaded(`no free slot at the origin within ${limitMs} ms`)),
    );
    return () => {
      queue.splice(queue.indexOf(entry), 1);
      if (!isBackground) this.#queued--;
      cancelTimer();
    };
  }

  #isFree(rank: Rank): boolean {
    if (this.#queued > 0 || this.#running >= this.slots) return false;
    if (!rank.isBackground) return true;
    return !this.#background.some(({ rank: { isWarm } }) => isWarm === rank.isWarm) && this.#hasBackgroundSlot(rank);
  }

  #hasBackgroundSlot({ isWarm }: Rank): boolean {
    const turns = this.#backgroundTurns();
    if (turns.length >= Math.ceil(this.slots * WARM_SHARE)) return false;
    const abandoned = turns.filter(({ rank }) => !rank.isWarm).length;
    return isWarm || abandoned < Math.max(1, Math.floor(this.slots * BACKGROUND_SHARE));
  }

  #start(bucket: string, rank: Rank): Turn | undefined {
    this.#queueOf(bucket).running++;
    this.#running++;
    if (rank === DEMAND) return undefined;
    const turn: Turn = { rank, preempted: new AbortController(), unsubscribe: rank.onRank(() => this.#admit()) };
    this.#turns.add(turn);
    return turn;
  }

  #leave(bucket: string, turn: Turn | undefined): void {
    if (turn !== undefined) {
      turn.unsubscribe();
      this.#turns.delete(turn);
    }
    this.#queueOf(bucket).running--;
    this.#running--;
    this.#forget(bucket);
    this.#admit();
  }

  #admit(): void {
    while (this.#running < this.slots) {
      const next = this.#next();
      if (next === undefined) break;
      next.admit();
    }
    while (this.#queued === 0 && this.#running < this.slots) {
      const first = this.#background.find(({ rank }) => this.#hasBackgroundSlot(rank));
      if (first === undefined) break;
      first.admit();
    }
    this.#makeRoom();
  }

  /** While tasks wait, those in the background beyond their share are preempted after a moment. */
  #makeRoom(): void {
    if (this.#excess().length > 0) {
      this.#cancelPreemption ??= this.#options.clock.after(PREEMPT_AFTER_MS, () => {
        this.#cancelPreemption = undefined;
        for (const { preempted } of this.#excess())
          preempted.abort(new OrcaError('cancelled', 'another request needs the slot at the origin'));
      });
    } else {
      this.#cancelPreemption?.();
      this.#cancelPreemption = undefined;
    }
  }

  /** As many as wait, the latest first: they have fetched the least. */
  #excess(): Turn[] {
    if (this.#queued === 0 || this.#turns.size === 0) return [];
    const background = this.#backgroundTurns();
    const staying = background.filter(({ preempted }) => !preempted.signal.aborted);
    const count = Math.min(
      this.#queued - (background.length - staying.length),
      staying.length - Math.floor(this.slots * BACKGROUND_SHARE),
    );
    return staying.slice(staying.length - Math.max(count, 0));
  }

  #backgroundTurns(): Turn[] {
    return [...this.#turns].filter(({ rank }) => rank.isBackground);
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

  #forget(bucket: string): void {
    const queue = this.#queues.get(bucket);
    if (queue?.running === 0 && queue.waiting.length === 0) this.#queues.delete(bucket);
  }
}

/** Retry-After as for memory: a slot becomes free with the next response. */
function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: 1_000 });
}
