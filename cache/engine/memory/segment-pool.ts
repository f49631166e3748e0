/**
 * The slab pool behind segments: large ones, and large ones cut into small ones. All memory is reserved at once,
 * touched shortly before its first use or with it, and reused from then on. It is never left to the garbage collector, which would free
 * it late and would run before every first byte, because it sees memory piling up.
 */
import { OrcaError } from '#cache/core/errors.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from './lease.ts';

const PIECES = SEGMENT_BYTES / SMALL_SEGMENT_BYTES;
/** The size of one allocation: a budget may exceed the longest ArrayBuffer. */
const ARENA_BYTES = 1024 * SEGMENT_BYTES;
const PAGE_BYTES = 4096;
/** glibc keeps a header in front of a large allocation, which would otherwise begin at a page boundary. */
const ALLOCATION_HEADER_BYTES = 16;

/** A large segment that is cut into small ones. */
interface Cut {
  readonly whole: Buffer;
  readonly free: Buffer[];
}

export class SegmentPool {
  /** Reserved, not used so far. */
  readonly #fresh: Buffer[] = [];
  /** Touched, not used so far. */
  readonly #touched: Buffer[] = [];
  readonly #free: Buffer[] = [];
  readonly #cutOf = new Map<Buffer, Cut>();
  /**
   * Cut segments with free pieces, by their number: the fullest are used first, so that the others become whole again.
   */
  readonly #cuts: readonly Set<Cut>[] = Array.from({ length: PIECES }, () => new Set<Cut>());
  readonly #isShared: boolean;
  #extraBytes = 0;
  #scatteredBytes = 0;

  /** `isShared`: other threads of the process can be given the memory. */
  constructor(budgetBytes: number, isShared = false) {
    this.#isShared = isShared;
    const wholeBytes = Math.floor(budgetBytes / SEGMENT_BYTES) * SEGMENT_BYTES;
    // Virtual memory: the kernel backs it with pages when they are first written to.
    for (let at = 0; at < wholeBytes; at += ARENA_BYTES)
      this.#fresh.unshift(reserve(Math.min(ARENA_BYTES, wholeBytes - at), isShared));
  }

  /** Allocated beyond the budget, which happens only where small pieces keep large segments from being whole. */
  get extraBytes(): number {
    return this.#extraBytes;
  }

  /** Free bytes between small pieces in use: usable for small pieces only, until the whole segment is free. */
  get scatteredBytes(): number {
    return this.#scatteredBytes;
  }

  /**
   * Has the kernel back one more segment with pages now, so that its first user need not wait for them; false if segments
   * of `readyBytes` are ready, or all are in use.
   */
  touch(readyBytes: number): boolean {
    if ((this.#free.length + this.#touched.length) * SEGMENT_BYTES >= readyBytes) return false;
    const segment = this.#unused();
    if (segment === undefined) return false;
    for (let at = 0; at < segment.length; at += PAGE_BYTES) segment[at] = 0;
    this.#touched.push(segment);
    return true;
  }

  /** A segment of one of the two sizes. */
  allocate(lengthBytes: number): Buffer {
    return lengthBytes === SMALL_SEGMENT_BYTES ? this.#piece() : this.#whole();
  }

  recycle(bytes: Buffer): void {
    const cut = this.#cutOf.get(bytes);
    if (cut === undefined) {
      this.#release(bytes);
      return;
    }
    this.#cuts[cut.free.length]?.delete(cut);
    cut.free.push(bytes);
    this.#scatteredBytes += SMALL_SEGMENT_BYTES;
    if (cut.free.length < PIECES) {
      this.#cuts[cut.free.length]?.add(cut);
      return;
    }
    this.#scatteredBytes -= SEGMENT_BYTES;
    for (const piece of cut.free) this.#cutOf.delete(piece);
    this.#release(cut.whole);
  }

  #whole(): Buffer {
    return this.#free.pop() ?? this.#touched.pop() ?? this.#unused() ?? this.#extra();
  }

  #unused(): Buffer | undefined {
    const arena = this.#fresh.pop();
    if (arena === undefined) return undefined;
    if (arena.length > SEGMENT_BYTES) this.#fresh.push(arena.subarray(SEGMENT_BYTES));
    return arena.subarray(0, SEGMENT_BYTES);
  }

  #extra(): Buffer {
    this.#extraBytes += SEGMENT_BYTES;
    return reserve(SEGMENT_BYTES, this.#isShared);
  }

  #piece(): Buffer {
    const cut = this.#fullest() ?? this.#cutUp(this.#whole());
    this.#cuts[cut.free.length]?.delete(cut);
    const piece = cut.free.pop();
    if (piece === undefined) throw new OrcaError('internal', 'a cut segment has no free piece');
    this.#scatteredBytes -= SMALL_SEGMENT_BYTES;
    if (cut.free.length > 0) this.#cuts[cut.free.length]?.add(cut);
    return piece;
  }

  #fullest(): Cut | undefined {
    for (const cuts of this.#cuts) for (const cut of cuts) return cut;
    return undefined;
  }

  #cutUp(whole: Buffer): Cut {
    const free = Array.from({ length: PIECES }, (_, index) =>
      whole.subarray(index * SMALL_SEGMENT_BYTES, (index + 1) * SMALL_SEGMENT_BYTES),
    );
    const cut = { whole, free };
    for (const piece of free) this.#cutOf.set(piece, cut);
    this.#scatteredBytes += SEGMENT_BYTES;
    return cut;
  }

  #release(whole: Buffer): void {
    const isExtra = this.#extraBytes > 0 && whole.buffer.byteLength === SEGMENT_BYTES + PAGE_BYTES;
    if (isExtra) this.#extraBytes -= SEGMENT_BYTES;
    else this.#free.push(whole);
  }
}

/**
 * Begins at a page boundary, as files in the page cache and the kernel's buffers do. Only speed depends on it: where
 * source and target of a copy have different offsets within their pages, AMD's `rep movsb` takes three to five times as
 * long (a chunk from the store through Node alone, EPYC: 1.1 s/GiB of CPU at a difference of 16 bytes, 0.45 at none).
 */
function reserve(lengthBytes: number, isShared: boolean): Buffer {
  const from = PAGE_BYTES - ALLOCATION_HEADER_BYTES;
  if (isShared) return Buffer.from(new SharedArrayBuffer(lengthBytes + PAGE_BYTES), from, lengthBytes);
  return Buffer.allocUnsafeSlow(lengthBytes + PAGE_BYTES).subarray(from, from + lengthBytes);
}
