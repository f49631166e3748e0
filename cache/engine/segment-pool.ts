/**
 * The memory behind segments: large ones, and large ones cut into small ones. It is reused, never left to the garbage
 * collector, which would take it late: a process that changes between the sizes would be larger than its budget.
 */
import { OrcaError } from '../core/errors.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from './lease.ts';

const PIECES = SEGMENT_BYTES / SMALL_SEGMENT_BYTES;
/** One allocation for many segments: each costs a system call, and work of the garbage collector beforehand. */
const ARENA_BYTES = 64 * SEGMENT_BYTES;

/** A large segment that has been cut. */
interface Cut {
  readonly whole: Buffer;
  readonly free: Buffer[];
}

export class SegmentPool {
  readonly #budgetBytes: number;
  readonly #free: Buffer[] = [];
  readonly #cutOf = new Map<Buffer, Cut>();
  /** Those with free pieces, by how many: the fullest are used first, so that the others become whole again. */
  readonly #cuts: readonly Set<Cut>[] = Array.from({ length: PIECES }, () => new Set<Cut>());
  #sizeBytes = 0;
  #scatteredBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** What it has from the system; over the budget only where small pieces keep large ones from being whole. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Between small pieces that are in use: for small ones only, until their neighbours are back. */
  get scatteredBytes(): number {
    return this.#scatteredBytes;
  }

  /** A segment of one of the two sizes. */
  allocate(lengthBytes: number): Buffer {
    return lengthBytes === SMALL_SEGMENT_BYTES ? this.#piece() : this.#whole();
  }

  recycle(bytes: Buffer): void {
    const cut = this.#cutOf.get(bytes);
    if (cut === undefined) {
      this.#giveBack(bytes);
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
    this.#giveBack(cut.whole);
  }

  #whole(): Buffer {
    const pooled = this.#free.pop();
    if (pooled !== undefined) return pooled;
    const leftBytes = this.#budgetBytes - this.#sizeBytes;
    const count = Math.max(1, Math.floor(Math.min(ARENA_BYTES, leftBytes) / SEGMENT_BYTES));
    this.#sizeBytes += count * SEGMENT_BYTES;
    // Its own ArrayBuffer: a slice of Node's shared pool would pin 8 KiB blocks of everybody else's.
    const arena = Buffer.allocUnsafeSlow(count * SEGMENT_BYTES);
    const [first = arena, ...others] = Array.from({ length: count }, (_, index) =>
      arena.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES),
    );
    this.#free.push(...others.toReversed());
    return first;
  }

  #piece(): Buffer {
    const cut = this.#fullest() ?? this.#cutUp(this.#whole());
    this.#cuts[cut.free.length]?.delete(cut);
    const piece = cut.free.pop();
    if (piece === undefined) throw new OrcaError('internal', 'a segment without free pieces was to give one');
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

  #giveBack(whole: Buffer): void {
    // What is over the budget came one by one, and can go so.
    const canGo = this.#sizeBytes > this.#budgetBytes && whole.buffer.byteLength === SEGMENT_BYTES;
    if (canGo) this.#sizeBytes -= SEGMENT_BYTES;
    else this.#free.push(whole);
  }
}
