/**
 * Pieces of pooled memory, and room for some of them: a segment returns to its lease when nobody can still read it, and
 * to the pool once that is closed.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** One write of 1 MiB costs least per byte on loopback (0.22 CPU-s/GiB; 0.44 with 256 KiB). */
export const SEGMENT_BYTES = 1024 * 1024;
/** Small reads are charged by what they use. */
export const SMALL_SEGMENT_BYTES = 64 * 1024;
const SMALL_LEASE_BYTES = 4 * SMALL_SEGMENT_BYTES;

export type Purpose = 'window' | 'fill';

/** Where leases have their segments from, and what they may still take of the budget. */
export interface SegmentSource {
  /** Memory that was charged before. */
  allocate(lengthBytes: number): Buffer;
  recycle(bytes: Buffer): void;
  /** One more segment, out of the spare half only. */
  chargeSpare(segmentBytes: number, purpose: Purpose): boolean;
  /** One more segment for a response under way, which comes before all that wait for a lease. */
  chargeLeft(segmentBytes: number, purpose: Purpose): boolean;
  uncharge(lengthBytes: number, purpose: Purpose): void;
}

/** A piece of pooled memory, shared by reference count: one for each fill, entry, stream or socket write that reads it. */
export class Segment {
  readonly bytes: Buffer;
  #references = 1;
  #onFree: () => void;

  constructor(bytes: Buffer, onFree: () => void) {
    this.bytes = bytes;
    this.#onFree = onFree;
  }

  retain(): void {
    if (this.#references <= 0) throw new OrcaError('internal', 'a segment was retained after its release');
    this.#references++;
  }

  release(): void {
    if (this.#references <= 0) throw new OrcaError('internal', 'a segment was released twice');
    if (--this.#references === 0) this.#onFree();
  }
}

/** Room for `capacity` segments at a time; what is released comes back to the lease until it is closed. */
export class Lease {
  readonly segmentBytes: number;
  readonly #memory: SegmentSource;
  readonly #purpose: Purpose;
  #capacity: number;
  #outstanding = 0;
  #open = true;
  #onRoom: (() => void) | undefined;

  constructor(memory: SegmentSource, purpose: Purpose, segmentBytes: number, capacity: number) {
    this.#memory = memory;
    this.#purpose = purpose;
    this.segmentBytes = segmentBytes;
    this.#capacity = capacity;
  }

  take(): Segment | undefined {
    if (!this.#open || this.#outstanding >= this.#capacity) return undefined;
    this.#outstanding++;
    const bytes = this.#memory.allocate(this.segmentBytes);
    return new Segment(bytes, () => {
      this.#memory.recycle(bytes);
      this.#outstanding--;
      if (!this.#open) this.#memory.uncharge(this.segmentBytes, this.#purpose);
      else this.#onRoom?.();
    });
  }

  /** Called whenever a segment came back. */
  onRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  /** One more segment, if the memory has it to spare. */
  grow(): boolean {
    if (!this.#open || !this.#memory.chargeSpare(this.segmentBytes, this.#purpose)) return false;
    this.#capacity++;
    return true;
  }

  /** One more segment, out of whatever is left, for one that somebody slow keeps from coming back. */
  extend(): boolean {
    if (!this.#open || !this.#memory.chargeLeft(this.segmentBytes, this.#purpose)) return false;
    this.#capacity++;
    return true;
  }

  /** Gives back what is over `capacity` and not out. */
  trim(capacity: number): void {
    const excess = Math.min(this.#capacity - capacity, this.#capacity - this.#outstanding);
    if (!this.#open || excess <= 0) return;
    this.#capacity -= excess;
    this.#memory.uncharge(excess * this.segmentBytes, this.#purpose);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Whether all of it is in use. */
  get isOut(): boolean {
    return this.#outstanding >= this.#capacity;
  }

  /** Gives back what is not out; segments that are still being read follow as they are released. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onRoom = undefined;
    this.#memory.uncharge((this.#capacity - this.#outstanding) * this.segmentBytes, this.#purpose);
  }
}

/** In what pieces, and how many, `lengthBytes` are leased. */
export function segmentsFor(
  lengthBytes: number,
  segmentBytes = lengthBytes <= SMALL_LEASE_BYTES ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES,
): { segmentBytes: number; count: number } {
  return { segmentBytes, count: Math.max(1, Math.ceil(lengthBytes / segmentBytes)) };
}
