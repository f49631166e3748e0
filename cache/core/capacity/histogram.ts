/**
 * Bytes by the minute of their last read, in two classes: chunks that were read again, and chunks that were read once.
 * The classes age at different speeds, so they are kept apart until somebody asks at a certain time (cutoff.ts).
 *
 * An entry stands for the bytes up to its minute, back to the entry before it. So what a cutoff frees is never
 * overestimated: eviction makes progress with each sweep.
 */
import { OrcaError } from '#cache/core/errors.ts';

/** Each entry of a compacted histogram has less than a hundredth of the bytes, or is one minute. */
export const MAX_HISTOGRAM_ENTRIES = 256;

export interface HistogramEntry {
  readonly minute: number;
  /** Of chunks that were read again. */
  readonly provenBytes: number;
  /** Of chunks that were read once. */
  readonly onceBytes: number;
}

export class Histogram {
  add(_minute: number, _bytes: number, _isProven: boolean): void {
    throw new OrcaError('internal', 'later');
  }

  /** Undoes an `add`, for a chunk that was deleted. */
  remove(_minute: number, _bytes: number, _isProven: boolean): void {
    throw new OrcaError('internal', 'later');
  }

  merge(_other: Histogram): void {
    throw new OrcaError('internal', 'later');
  }

  get totalBytes(): number {
    throw new OrcaError('internal', 'later');
  }

  /** By minute. */
  entries(): readonly HistogramEntry[] {
    throw new OrcaError('internal', 'later');
  }

  /** At most 256 entries. */
  compact(): Histogram {
    throw new OrcaError('internal', 'later');
  }

  /** For JSON: `[minute, provenBytes, onceBytes]` each. */
  toJSON(): readonly (readonly [number, number, number])[] {
    throw new OrcaError('internal', 'later');
  }

  /** Undefined for anything that `toJSON` does not return. */
  static parse(_value: unknown): Histogram | undefined {
    throw new OrcaError('internal', 'later');
  }
}
