import { array, assert, constantFrom, nat, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { SegmentPool } from '#cache/engine/memory/segment-pool.ts';

const PIECES = SEGMENT_BYTES / SMALL_SEGMENT_BYTES;

/** The number of the large segment that a piece was cut from, where all are of one allocation. */
const segmentOf = (piece: Buffer | undefined) => Math.floor((piece?.byteOffset ?? Number.NaN) / SEGMENT_BYTES);

describe('the segment pool', () => {
  test('reuses recycled segments', () => {
    const pool = new SegmentPool(4 * SEGMENT_BYTES);
    const first = pool.allocate(SEGMENT_BYTES);
    pool.recycle(first);
    expect(pool.allocate(SEGMENT_BYTES)).toBe(first);
  });

  test('touches segments until enough are ready, and hands those out first', () => {
    const pool = new SegmentPool(4 * SEGMENT_BYTES);
    const ready = 2 * SEGMENT_BYTES;
    expect([1, 2, 3].map(() => pool.touch(ready))).toEqual([true, true, false]);
    const used = [1, 2, 3].map(() => pool.allocate(SEGMENT_BYTES));
    expect(new Set(used.map(({ byteOffset }) => byteOffset)).size).toBe(3);
    expect(pool.touch(ready)).toBe(true);
    // All four are in use or ready.
    expect(pool.touch(ready)).toBe(false);
    for (const segment of used) pool.recycle(segment);
    expect(pool.touch(ready)).toBe(false);
    const all = Array.from({ length: 4 }, () => pool.allocate(SEGMENT_BYTES).byteOffset);
    expect(new Set(all).size).toBe(4);
    expect(pool.extraBytes).toBe(0);
  });

  test.for([true, false])('segments of every size are in shared memory only on request (%s)', (isShared) => {
    const pool = new SegmentPool(SEGMENT_BYTES, isShared);
    const segments = [SMALL_SEGMENT_BYTES, SEGMENT_BYTES].map((sizeBytes) => pool.allocate(sizeBytes));
    // The second one exceeds the budget.
    expect(pool.extraBytes).toBe(SEGMENT_BYTES);
    for (const { buffer } of segments) expect(buffer instanceof SharedArrayBuffer).toBe(isShared);
    pool.recycle(segments[1]!);
    expect(pool.extraBytes).toBe(0);
  });

  test('a load that alternates between the two sizes allocates no extra memory', () => {
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

  test('small pieces are taken from the fullest segment first, so that other segments become whole', () => {
    const pool = new SegmentPool(2 * SEGMENT_BYTES);
    const pieces = Array.from({ length: 2 * PIECES }, () => pool.allocate(SMALL_SEGMENT_BYTES));
    // One piece of the first segment stays in use, and all but one of the second.
    const [left, ...others] = pieces.slice(0, PIECES);
    const [free, ...used] = pieces.slice(PIECES);
    others.forEach((bytes) => pool.recycle(bytes));
    pool.recycle(free as Buffer);
    expect(segmentOf(pool.allocate(SMALL_SEGMENT_BYTES))).toBe(segmentOf(used[0]));
    pool.recycle(left as Buffer);
    expect(pool.allocate(SEGMENT_BYTES).length).toBe(SEGMENT_BYTES);
    expect(pool.extraBytes).toBe(0);
  });

  test('extra memory that scattered pieces required is freed when they are recycled', () => {
    const pool = new SegmentPool(2 * SEGMENT_BYTES);
    const pieces = Array.from({ length: 2 * PIECES }, () => pool.allocate(SMALL_SEGMENT_BYTES));
    const scattered = [pieces[0], pieces[PIECES]] as Buffer[];
    pieces.filter((bytes) => !scattered.includes(bytes)).forEach((bytes) => pool.recycle(bytes));
    const whole = pool.allocate(SEGMENT_BYTES);
    expect(pool.extraBytes).toBe(SEGMENT_BYTES);
    [...scattered, whole].forEach((bytes) => pool.recycle(bytes));
    expect(pool.extraBytes).toBe(0);
  });

  test('segments in use never overlap, for any order of allocations and recycling', () => {
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
