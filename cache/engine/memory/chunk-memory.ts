/**
 * The memory budget for all chunk bytes of the process: pooled off-heap segments. A caller leases all memory it needs
 * before the first byte, and never waits for more while it holds some, so leases cannot deadlock.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { Lease, segmentsFor, SMALL_SEGMENT_BYTES, type Purpose, type SegmentSource } from './lease.ts';
import type { Clock, Demand } from '#cache/engine/ports.ts';
import { SegmentPool } from './segment-pool.ts';

/** The share of the budget reserved for streaming windows: fills cannot take it, so stored chunks stay readable. */
const WINDOW_SHARE = 1 / 8;
/** How long a new request waits before it is refused with Retry-After. */
export const NEW_WAIT_MS = 5_000;
/** A response that has started waits until its client would time out. */
export const STARTED_WAIT_MS = 60_000;
/** As many as there may be clients (edge.maxConnections): more could only be a leak. */
const MAX_WAITING = 4_096;
/** Long enough to release a chunk or two; clients spread their retries by their own jitter. */
const RETRY_AFTER_MS = 1_000;

/** Evictable memory: in use, but released when something else needs the room. */
export interface Reserve {
  readonly evictableBytes: number;
  /** Evicts at least `neededBytes` if it has them; false when there was nothing to evict. */
  evict(neededBytes: number): boolean;
}

const NOTHING: Reserve = { evictableBytes: 0, evict: () => false };

interface Need {
  readonly segmentBytes: number;
  readonly costBytes: number;
  readonly purpose: Purpose;
}

interface Waiter extends Need {
  grant(): void;
}

export interface ChunkMemoryOptions {
  readonly budgetBytes: number;
  readonly clock: Clock;
  /** Overwrites returned segments, so that a use after release shows in tests, not in a client's model weights. */
  readonly poison?: boolean;
}

export class ChunkMemory implements SegmentSource {
  readonly budgetBytes: number;
  readonly #clock: Clock;
  readonly #poison: boolean;
  readonly #charged: Record<Purpose, number> = { window: 0, fill: 0 };
  readonly #waiting: Record<Demand, Waiter[]> = { started: [], new: [] };
  readonly #pool: SegmentPool;
  #reclaiming = false;
  /** An eviction may have freed more than its caller needs. */
  #hasLeftover = false;
  #reserve: Reserve = NOTHING;

  constructor(options: ChunkMemoryOptions) {
    this.budgetBytes = options.budgetBytes;
    this.#clock = options.clock;
    this.#poison = options.poison ?? false;
    this.#pool = new SegmentPool(options.budgetBytes);
  }

  /** Registers what is evicted under pressure: the memory tier. */
  onPressure(reserve: Reserve): void {
    this.#reserve = reserve;
  }

  get usedBytes(): number {
    return this.#charged.window + this.#charged.fill;
  }

  usedBy(purpose: Purpose): number {
    return this.#charged[purpose];
  }

  waiting(demand: Demand): number {
    return this.#waiting[demand].length;
  }

  /**
   * More than half of the budget is free or evictable: the condition for read-ahead and wider windows. Evictable memory
   * counts as free, since otherwise a memory tier that has grown to half the budget would end read-ahead for good.
   */
  get isRelaxed(): boolean {
    return this.#keptBytes < this.budgetBytes / 2;
  }

  /**
   * Less than a quarter of the budget is free or evictable: readers get small segments. Not earlier, since the half that
   * read-ahead leaves is there to be used, and small segments cost twice as much per byte.
   */
  get isScarce(): boolean {
    return this.#keptBytes > (this.budgetBytes * 3) / 4;
  }

  /** A lease for `lengthBytes`, if it can be granted at once and no caller is waiting. */
  tryLease(lengthBytes: number, purpose: Purpose): Lease | undefined {
    const { segmentBytes, count } = segmentsFor(lengthBytes);
    const need = { segmentBytes, costBytes: segmentBytes * count, purpose };
    if (this.#anyWaiting() || !this.#fits(need)) return undefined;
    return this.#grant(purpose, segmentBytes, count);
  }

  /** For reading ahead: granted at once from the spare half, or rejected with `overloaded`. */
  leaseSpare(lengthBytes: number): Lease {
    const lease = this.isRelaxed ? this.tryLease(lengthBytes, 'window') : undefined;
    if (lease === undefined) throw new OrcaError('overloaded', 'no spare memory for read-ahead');
    return lease;
  }

  /** One small segment ahead of all waiting callers, if there is room: it is taken so that a large one can be released. */
  leaseSmall(): Lease | undefined {
    const need = { segmentBytes: SMALL_SEGMENT_BYTES, costBytes: SMALL_SEGMENT_BYTES, purpose: 'window' } as const;
    if (this.#missingBytes(need) > 0) return undefined;
    return this.#grant('window', SMALL_SEGMENT_BYTES, 1);
  }

  /** A lease for `lengthBytes`, first come first served in its class; rejects with `overloaded` after too long a wait. */
  async lease(
    lengthBytes: number,
    purpose: Purpose,
    demand: Demand,
    signal: AbortSignal,
    sizeBytes?: number,
  ): Promise<Lease> {
    const { segmentBytes, count } = segmentsFor(lengthBytes, sizeBytes);
    const costBytes = segmentBytes * count;
    const need = { segmentBytes, costBytes, purpose };
    signal.throwIfAborted();
    if (costBytes > this.#limit(purpose))
      throw new OrcaError('overloaded', `${costBytes} bytes do not fit in a budget of ${this.budgetBytes}`);
    if (!this.#mustWait(demand) && this.#fits(need)) return this.#grant(purpose, segmentBytes, count);
    if (this.#waiting[demand].length >= MAX_WAITING) throw overloaded('too many requests are waiting for memory');
    await this.#wait(need, demand, signal);
    return new Lease(this, purpose, segmentBytes, count);
  }

  chargeSpare(segmentBytes: number, purpose: Purpose): boolean {
    if (!this.isRelaxed || this.#anyWaiting()) return false;
    return this.chargeLeft(segmentBytes, purpose);
  }

  chargeLeft(segmentBytes: number, purpose: Purpose): boolean {
    if (!this.#fits({ segmentBytes, costBytes: segmentBytes, purpose })) return false;
    this.#charged[purpose] += segmentBytes;
    return true;
  }

  refund(lengthBytes: number, purpose: Purpose): void {
    this.#charged[purpose] -= lengthBytes;
    if (!this.#reclaiming) this.#admit();
  }

  /** More memory has become evictable: waiting callers are checked again. */
  reconsider(): void {
    if (!this.#reclaiming) this.#admit();
  }

  allocate(lengthBytes: number): Buffer {
    return this.#pool.allocate(lengthBytes);
  }

  recycle(bytes: Buffer): void {
    if (this.#poison) bytes.fill(0xdb);
    const { scatteredBytes } = this.#pool;
    this.#pool.recycle(bytes);
    // A cut segment is whole again: there is room for large leases too.
    if (this.#pool.scatteredBytes < scatteredBytes && !this.#reclaiming) this.#admit();
  }

  #grant(purpose: Purpose, segmentBytes: number, count: number): Lease {
    this.#charged[purpose] += segmentBytes * count;
    // An evicted chunk may have been larger than needed: the remainder is for waiting callers.
    if (this.#hasLeftover) this.#admit();
    return new Lease(this, purpose, segmentBytes, count);
  }

  get #keptBytes(): number {
    return this.usedBytes - this.#reserve.evictableBytes;
  }

  #limit(purpose: Purpose): number {
    return purpose === 'fill' ? this.budgetBytes * (1 - WINDOW_SHARE) : this.budgetBytes;
  }

  #missingBytes({ segmentBytes, costBytes, purpose }: Need): number {
    const { scatteredBytes } = this.#pool;
    // Small segments fit between the small ones in use.
    const lostBytes = segmentBytes === SMALL_SEGMENT_BYTES ? Math.max(0, scatteredBytes - costBytes) : scatteredBytes;
    return Math.max(
      this.usedBytes + lostBytes + costBytes - this.budgetBytes,
      purpose === 'fill' ? this.#charged.fill + costBytes - this.#limit('fill') : 0,
    );
  }

  #fits(need: Need): boolean {
    const missing = () => this.#missingBytes(need);
    if (missing() > 0) {
      // Memory released now is for the need at hand: the queue, which may be what called us, must not take it.
      this.#reclaiming = true;
      try {
        // Segments of an evicted chunk that a slow socket still reads are released later: other chunks are evicted instead.
        while (missing() > 0 && this.#reserve.evict(missing())) this.#hasLeftover = true;
      } finally {
        this.#reclaiming = false;
      }
    }
    return missing() <= 0;
  }

  #anyWaiting(): boolean {
    return this.#waiting.started.length > 0 || this.#waiting.new.length > 0;
  }

  #mustWait(demand: Demand): boolean {
    return this.#waiting.started.length > 0 || (demand === 'new' && this.#waiting.new.length > 0);
  }

  #wait(need: Need, demand: Demand, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queue = this.#waiting[demand];
    const leave = () => {
      const at = queue.indexOf(waiter);
      if (at >= 0) queue.splice(at, 1);
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      leave();
      reject(error);
      // The next caller may need less, and fit where this one did not.
      this.#admit();
    };
    const grant = () => {
      leave();
      resolve();
    };
    const waiter: Waiter = { ...need, grant };
    const onAbort = () => fail(signal.reason);
    const limitMs = demand === 'new' ? NEW_WAIT_MS : STARTED_WAIT_MS;
    const cancelTimer = this.#clock.after(limitMs, () => fail(overloaded(`no memory within ${limitMs} ms`)));
    signal.addEventListener('abort', onAbort, { once: true });
    queue.push(waiter);
    return promise;
  }

  /** First come, first served in each class; no new request is admitted while a started response waits. */
  #admit(): void {
    this.#hasLeftover = false;
    for (const demand of ['started', 'new'] as const) {
      const queue = this.#waiting[demand];
      while (queue[0] !== undefined && this.#fits(queue[0])) {
        this.#charged[queue[0].purpose] += queue[0].costBytes;
        queue[0].grant();
      }
      if (queue.length > 0) return;
    }
  }
}

function overloaded(message: string): OrcaError {
  return new OrcaError('overloaded', message, { retryAfterMs: RETRY_AFTER_MS });
}
