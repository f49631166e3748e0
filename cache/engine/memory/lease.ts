/**
 * Segments of pooled memory, and the leases they are taken from. A segment returns to its lease when its last reference
 * is released, and to the pool once the lease is closed.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** One write of 1 MiB costs least per byte on loopback (0.22 CPU-s/GiB; 0.44 with 256 KiB). */
export const SEGMENT_BYTES = 1024 * 1024;
/** For small reads and slow readers. */
export const SMALL_SEGMENT_BYTES = 64 * 1024;
const SMALL_LEASE_BYTES = 4 * SMALL_SEGMENT_BYTES;

export type Purpose = 'window' | 'fill';

/** Where leases take their segments from, and how they are charged to the budget. */
export interface SegmentSource {
  /** Memory that was charged before. */
  allocate(lengthBytes: number): Buffer;
  recycle(bytes: Buffer): void;
  /** Charges one more segment, out of the spare half only. */
  chargeSpare(segmentBytes: number, purpose: Purpose): boolean;
  /** Charges one more segment for a response in progress, ahead of all callers that wait for a lease. */
  chargeLeft(segmentBytes: number, purpose: Purpose): boolean;
  refund(lengthBytes: number, purpose: Purpose): void;
}

/** A piece of pooled memory with a reference count: one for each fill, entry, stream or socket write that uses it. */
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

/** Room for `capacity` segments at a time. Released segments return to the lease until it is closed. */
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
      if (!this.#open) this.#memory.refund(this.segmentBytes, this.#purpose);
      else this.#onRoom?.();
    });
  }

  /** Called whenever a segment returns. */
  onRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  /** Adds one segment, if memory has one to spare. */
  grow(): boolean {
    if (!this.#open || !this.#memory.chargeSpare(this.segmentBytes, this.#purpose)) return false;
    this.#capacity++;
    return true;
  }

  /** Adds one segment out of whatever is left, in place of one that a slow reader still holds. */
  extend(): boolean {
    if (!this.#open || !this.#memory.chargeLeft(this.segmentBytes, this.#purpose)) return false;
    this.#capacity++;
    return true;
  }

  /** Returns segments beyond `capacity` that are not in use. */
  trim(capacity: number): void {
    const excess = Math.min(this.#capacity - capacity, this.#capacity - this.#outstanding);
    if (!this.#open || excess <= 0) return;
    this.#capacity -= excess;
    this.#memory.refund(excess * this.segmentBytes, this.#purpose);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Whether all segments are in use. */
  get isOut(): boolean {
    return this.#outstanding >= this.#capacity;
  }

  /** Returns all segments that are not in use; the others follow as they are released. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onRoom = undefined;
    this.#memory.refund((this.#capacity - this.#outstanding) * this.segmentBytes, this.#purpose);
  }
}

/** The size and number of the segments in which `lengthBytes` are leased. */
export function segmentsFor(
  lengthBytes: number,
  segmentBytes = lengthBytes <= SMALL_LEASE_BYTES ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES,
): { segmentBytes: number; count: number } {
  return { segmentBytes, count: Math.max(1, Math.ceil(lengthBytes / segmentBytes)) };
}
