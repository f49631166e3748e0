import { array, assert, constantFrom, nat, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { SegmentPool } from '#cache/engine/memory/segment-pool.ts';

const PIECES = SEGMENT_BYTES / SMALL_SEGMENT_BYTES;

/** The large segment that a piece is of, where all come from one allocation. */
const segmentOf = (piece: Buffer | undefined) => Math.floor((piece?.byteOffset ?? Number.NaN) / SEGMENT_BYTES);

describe('the segment pool', () => {
  test('uses again what came back', () => {
    const pool = new SegmentPool(4 * SEGMENT_BYTES);
    const first = pool.allocate(SEGMENT_BYTES);
    pool.recycle(first);
    expect(pool.allocate(SEGMENT_BYTES)).toBe(first);
  });

  test('a load that changes between the sizes takes no more than the larger of the two', () => {
    const pool = new SegmentPool(4 * SEGMENT_BYTES);
    for (let round = 0; round < 3; round++)
      for (const [sizeBytes, count] of [
        [SEGMENT_BYTES, 4],
        [SMALL_SEGMENT_BYTES, 4 * PIECES],
      ] as const) {
        const taken = Array.from({ length: count }, () => pool.allocate(sizeBytes));
        taken.forEach((bytes) => pool.recycle(bytes));
        expect(pool.extraBytes).toBe(0);
      }
  });

  test('small pieces come from the fullest first, so that the others become whole', () => {
    const pool = new SegmentPool(2 * SEGMENT_BYTES);
    const pieces = Array.from({ length: 2 * PIECES }, () => pool.allocate(SMALL_SEGMENT_BYTES));
    // One of the first is left, all but one of the second are.
    const [left, ...others] = pieces.slice(0, PIECES);
    const [free, ...used] = pieces.slice(PIECES);
    others.forEach((bytes) => pool.recycle(bytes));
    pool.recycle(free as Buffer);
    expect(segmentOf(pool.allocate(SMALL_SEGMENT_BYTES))).toBe(segmentOf(used[0]));
    pool.recycle(left as Buffer);
    expect(pool.allocate(SEGMENT_BYTES).length).toBe(SEGMENT_BYTES);
    expect(pool.extraBytes).toBe(0);
  });

  test('what it took over the budget for scattered pieces goes when they come back', () => {
    const pool = new SegmentPool(2 * SEGMENT_BYTES);
    const pieces = Array.from({ length: 2 * PIECES }, () => pool.allocate(SMALL_SEGMENT_BYTES));
    const scattered = [pieces[0], pieces[PIECES]] as Buffer[];
    pieces.filter((bytes) => !scattered.includes(bytes)).forEach((bytes) => pool.recycle(bytes));
    const whole = pool.allocate(SEGMENT_BYTES);
    expect(pool.extraBytes).toBe(SEGMENT_BYTES);
    [...scattered, whole].forEach((bytes) => pool.recycle(bytes));
    expect(pool.extraBytes).toBe(0);
  });

  test('nobody has the same byte as another, whatever comes and goes', () => {
    const step = record({ sizeBytes: constantFrom(SEGMENT_BYTES, SMALL_SEGMENT_BYTES), back: nat(3), which: nat() });
    assert(
      property(array(step, { maxLength: 60 }), (steps) => {
        const pool = new SegmentPool(3 * SEGMENT_BYTES);
        const out: Buffer[] = [];
        for (const { sizeBytes, back, which } of steps) {
          for (let count = 0; count < back && out.length > 0; count++)
            pool.recycle(out.splice(which % out.length, 1)[0] as Buffer);
          const got = pool.allocate(sizeBytes);
          expect(got.length).toBe(sizeBytes);
          const overlaps = out.some(
            (other) =>
              other.buffer === got.buffer &&
              other.byteOffset < got.byteOffset + got.length &&
              got.byteOffset < other.byteOffset + other.length,
          );
          expect(overlaps).toBe(false);
          out.push(got);
        }
      }),
    );
  });
});
