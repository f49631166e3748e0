import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkAt, chunkPathPrefix, chunkSizeFor, sliceAt, sliceCount } from '#cache/core/chunk.ts';
import golden from '#test/golden/chunk-paths.json' with { type: 'json' };

const MIB = 1024 * 1024;

describe('the path of a chunk', () => {
  test.for(golden)('equals the golden vector computed by Python for $key', (vector) => {
    const { index, chunkSizeBytes, path } = vector;
    expect(`${chunkPathPrefix(vector, chunkSizeBytes)}${index}`).toBe(path);
    const object = { ...vector, sizeBytes: (index + 1) * chunkSizeBytes };
    expect(chunkAt(object, chunkSizeBytes, index).path).toBe(path);
  });

  test('differs if any part of the identity differs, regardless of the boundaries between parts', () => {
    const parts = fc.record({ originId: fc.string(), bucket: fc.string(), key: fc.string(), etag: fc.string() });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(chunkPathPrefix(a, MIB) === chunkPathPrefix(b, MIB)).toBe(same);
      }),
    );
    const object = { originId: 'o', bucket: 'ab', key: 'c', etag: 'e' };
    expect(chunkPathPrefix(object, MIB)).not.toBe(chunkPathPrefix({ ...object, bucket: 'a', key: 'bc' }, MIB));
    expect(chunkPathPrefix(object, MIB)).not.toBe(chunkPathPrefix(object, 2 * MIB));
  });
});

describe('chunks of an object', () => {
  const object = { originId: 'o', bucket: 'b', key: 'k', etag: 'e', sizeBytes: 2 * MIB + 5 };

  test('cover it without gaps; the last one is shorter', () => {
    expect([0, 1, 2].map((index) => chunkAt(object, MIB, index).range)).toEqual([
      { from: 0, to: MIB },
      { from: MIB, to: 2 * MIB },
      { from: 2 * MIB, to: 2 * MIB + 5 },
    ]);
    expect(chunkAt(object, MIB, 2).lengthBytes).toBe(5);
  });

  test.for([-1, 3, 0.5, Number.NaN])('do not include index %s', (index) => {
    expect(() => chunkAt(object, MIB, index)).toThrow(RangeError);
  });
});

test('the slices of a range are within their chunks and concatenate to the range', () => {
  const size = fc.integer({ min: 1, max: 50 });
  fc.assert(
    fc.property(size, fc.nat(500), fc.nat(500), (chunkSizeBytes, from, length) => {
      const range = { from, to: from + length };
      const bytes: number[] = [];
      for (let number = 0; number < sliceCount(range, chunkSizeBytes); number++) {
        const slice = sliceAt(range, chunkSizeBytes, number);
        expect(slice.from).toBeLessThan(slice.to);
        expect(slice.to).toBeLessThanOrEqual(chunkSizeBytes);
        for (let at = slice.from; at < slice.to; at++) bytes.push(slice.index * chunkSizeBytes + at);
      }
      expect(bytes).toEqual(Array.from({ length }, (_, i) => from + i));
    }),
  );
});

test('the tier with the largest minimum that the object reaches determines the chunk size', () => {
  const tiers = [
    { minObjectSizeBytes: 100, chunkSizeBytes: 20 },
    { minObjectSizeBytes: 1000, chunkSizeBytes: 40 },
  ];
  expect([0, 99, 100, 999, 1000, 1e12].map((size) => chunkSizeFor(size, 10, tiers))).toEqual([10, 10, 20, 20, 40, 40]);
  expect(chunkSizeFor(1e12, 10, [])).toBe(10);
});
