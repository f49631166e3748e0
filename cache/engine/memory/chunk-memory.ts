/**
 * The memory budget for all chunk bytes of the process: pooled off-heap segments. A caller leases all memory it needs
 * before the first byte, and never waits for more while it holds some, so leases cannot deadlock.
 */
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock, Demand } from '#cache/engine/ports.ts';
import { LeaseQueue, type Need } from './lease-queue.ts';
import { Lease, segmentsFor, SMALL_SEGMENT_BYTES, type Purpose, type SegmentSource } from './lease.ts';
import { SegmentPool } from './segment-pool.ts';

/** The share of the budget reserved for streaming windows: fills cannot take it, so stored chunks stay readable. */
const WINDOW_SHARE = 1 / 8;

/**
 * The share of the budget that TLS may queue freely: 256 clients at 128 KiB on a budget of 256 MiB. Beyond it each gets
 * 64 KiB, as much as a slow client holds of the pool.
 */
const QUEUE_SHARE = 1 / 8;

/** Evictable memory: in use, but released when something else needs the room. */
export interface Reserve {
  readonly evictableBytes: number;
  /** Evicts at least `neededBytes` if it has them; false when there was nothing to evict. */
  evict(neededBytes: number): boolean;
}

const NOTHING: Reserve = { evictableBytes: 0, evict: () => false };

export interface ChunkMemoryOptions {
  readonly budgetBytes: number;
  readonly clock: Clock;
  /** Overwrites returned segments, so that a use after release shows in tests, not in a client's model weights. */
  readonly poison?: boolean;
  /** For a cachestore with threads of its own. */
  readonly isShared?: boolean;
}

export class ChunkMemory implements SegmentSource {
  readonly budgetBytes: number;
  readonly #poison: boolean;
  readonly #charged: Record<Purpose, number> = { window: 0, fill: 0 };
  readonly #queue: LeaseQueue;
  readonly #pool: SegmentPool;
  #queuedBytes = 0;
  #reclaiming = false;
  /** An eviction may have freed more than its caller needs. */
  #hasLeftover = false;
  #reserve: Reserve = NOTHING;
  #onShortage: (missingBytes: number) => void = () => {};

  constructor(options: ChunkMemoryOptions) {
    this.budgetBytes = options.budgetBytes;
    this.#poison = options.poison ?? false;
    this.#queue = new LeaseQueue(options.clock, () => this.#admit());
    this.#pool = new SegmentPool(options.budgetBytes, options.isShared);
  }

  /** Registers what is evicted under pressure: the memory tier. */
  onPressure(reserve: Reserve): void {
    this.#reserve = reserve;
  }

  /** Called while a caller has to wait for memory, with what it lacks: work that may end should release its memory soon. */
  onShortage(listener: (missingBytes: number) => void): void {
    this.#onShortage = listener;
  }

  get usedBytes(): number {
    return this.#charged.window + this.#charged.fill + this.#queuedBytes;
  }

  /** Bytes outside of the pool that wait for clients to read them: the ciphertext of TLS, and documents. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Responses must queue as little as they can. */
  get isQueueFull(): boolean {
    return this.#queuedBytes > this.budgetBytes * QUEUE_SHARE;
  }

  /** Counts bytes that are queued for a client; negative when they are sent. */
  countQueued(lengthBytes: number): void {
    this.#queuedBytes += lengthBytes;
    if (lengthBytes < 0 && !this.#queue.isEmpty) this.reconsider();
  }

  usedBy(purpose: Purpose): number {
    return this.#charged[purpose];
  }

  waiting(demand: Demand): number {
    return this.#queue.count(demand);
  }

  /**
   * More than half of the budget is free or evictable: the condition for read-ahead and wider windows. Evictable memory
   * counts as free: otherwise a memory tier of half the budget would end read-ahead for good.
   */
  get isRelaxed(): boolean {
    return this.#keptBytes < this.budgetBytes / 2;
  }

  /**
   * Less than a quarter of the budget is free or evictable: readers get small segments. Not earlier, since the half
   * that read-ahead leaves is there to be used, and small segments cost twice as much per byte.
   */
  get isScarce(): boolean {
    return this.#keptBytes > (this.budgetBytes * 3) / 4;
  }

  /** A lease for `lengthBytes`, if it can be granted at once and no caller is waiting. */
  tryLease(lengthBytes: number, purpose: Purpose): Lease | undefined {
    const { segmentBytes, count } = segmentsFor(lengthBytes);
    const need = { segmentBytes, costBytes: segmentBytes * count, purpose };
    if (!this.#queue.isEmpty || !this.#fits(need)) return undefined;
    return this.#grant(purpose, segmentBytes, count);
  }

  /** For reading ahead: granted at once from the spare half, or rejected with `overloaded`. */
  leaseSpare(lengthBytes: number): Lease {
    const lease = this.isRelaxed ? this.tryLease(lengthBytes, 'window') : undefined;
    if (lease === undefined) throw new OrcaError('overloaded', 'no spare memory for read-ahead');
    return lease;
  }

  /** One small segment, ahead of waiting callers, if there is room: with it a large segment can be released. */
  leaseSmall(): Lease | undefined {
    const need = { segmentBytes: SMALL_SEGMENT_BYTES, costBytes: SMALL_SEGMENT_BYTES, purpose: 'window' } as const;
    if (this.#missingBytes(need) > 0) return undefined;
    return this.#grant('window', SMALL_SEGMENT_BYTES, 1);
  }

  /** A lease for `lengthBytes`, first come, first served in its class; rejects with `overloaded` after a long wait. */
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
    if (!this.#queue.mustQueue(demand) && this.#fits(need)) return this.#grant(purpose, segmentBytes, count);
    const granted = this.#queue.wait(need, demand, signal);
    this.#admit();
    await granted;
    return new Lease(this, purpose, segmentBytes, count);
  }

  chargeSpare(segmentBytes: number, purpose: Purpose): boolean {
    if (!this.isRelaxed || !this.#queue.isEmpty) return false;
    return this.chargeLeft(segmentBytes, purpose);
  }

  chargeLeft(segmentBytes: number, purpose: Purpose): boolean {
    return this.#charge({ segmentBytes, costBytes: segmentBytes, purpose });
  }

  refund(lengthBytes: number, purpose: Purpose): void {
    this.#charged[purpose] -= lengthBytes;
    if (!this.#reclaiming) this.#admit();
  }

  /** More memory has become evictable: waiting callers are checked again. */
  reconsider(): void {
    if (!this.#reclaiming) this.#admit();
  }

  /** See `keepPagesReady`. */
  touch(readyBytes: number): boolean {
    return this.#pool.touch(readyBytes);
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
        // Segments that a slow socket still reads are released later: then further chunks are evicted.
        while (missing() > 0 && this.#reserve.evict(missing())) this.#hasLeftover = true;
      } finally {
        this.#reclaiming = false;
      }
    }
    return missing() <= 0;
  }

  /** Charges what waiting callers need, as far as it fits. */
  #admit(): void {
    this.#hasLeftover = false;
    this.#queue.admit((need) => {
      if (this.#charge(need)) return true;
      this.#onShortage(this.#missingBytes(need));
      return false;
    });
  }

  #charge(need: Need): boolean {
    if (!this.#fits(need)) return false;
    this.#charged[need.purpose] += need.costBytes;
    return true;
  }
}
