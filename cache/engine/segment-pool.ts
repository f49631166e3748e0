/**
 * The memory behind segments: large ones, and large ones cut into small ones. It is reused, never left to the garbage
 * collector, which would take it late: a process that changes between the sizes would be larger than its budget.
 */
import { OrcaError } from '../core/errors.ts';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from './lease.ts';

const PIECES = SEGMENT_BYTES / SMALL_SEGMENT_BYTES;

/** A large segment that has been cut. */
interface Cut {
  readonly whole: Buffer;
  readonly free: Buffer[];
}

export class SegmentPool {
  readonly #budgetBytes: number;
  readonly #free: Buffer[] = [];
  readonly #cutBy = new Map<ArrayBufferLike, Cut>();
  /** Those with free pieces, by how many: the fullest are used first, so that the others become whole again. */
  readonly #cuts: readonly Set<Cut>[] = Array.from({ length: PIECES }, () => new Set<Cut>());
  #sizeBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** What it has from the system; over the budget only where small pieces keep large ones from being whole. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** A segment of one of the two sizes. */
  allocate(lengthBytes: number): Buffer {
    return lengthBytes === SMALL_SEGMENT_BYTES ? this.#piece() : this.#whole();
  }

  recycle(bytes: Buffer): void {
    const cut = this.#cutBy.get(bytes.buffer);
    if (cut === undefined) {
      this.#giveBack(bytes);
      return;
    }
    this.#cuts[cut.free.length]?.delete(cut);
    cut.free.push(bytes);
    if (cut.free.length < PIECES) {
      this.#cuts[cut.free.length]?.add(cut);
      return;
    }
    this.#cutBy.delete(bytes.buffer);
    this.#giveBack(cut.whole);
  }

  #whole(): Buffer {
    const pooled = this.#free.pop();
    if (pooled !== undefined) return pooled;
    this.#sizeBytes += SEGMENT_BYTES;
    // Its own ArrayBuffer: a slice of Node's shared pool would pin 8 KiB blocks of everybody else's.
    return Buffer.allocUnsafeSlow(SEGMENT_BYTES);
  }

  #piece(): Buffer {
    const cut = this.#fullest() ?? this.#cutUp(this.#whole());
    this.#cuts[cut.free.length]?.delete(cut);
    const piece = cut.free.pop();
    if (piece === undefined) throw new OrcaError('internal', 'a segment without free pieces was to give one');
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
    this.#cutBy.set(whole.buffer, cut);
    return cut;
  }

  #giveBack(whole: Buffer): void {
    if (this.#sizeBytes <= this.#budgetBytes) this.#free.push(whole);
    else this.#sizeBytes -= SEGMENT_BYTES;
  }
}
