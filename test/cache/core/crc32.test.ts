import { crc32 as zlibCrc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { combineCrc32, crc32, crc32Problem } from '#cache/core/crc32.ts';
import { RUNS } from '#test/support/fuzz.ts';

test('the native library is used where the tests run', () => {
  expect(crc32Problem).toBeUndefined();
});

test('crc32 equals zlib’s, from any offset and any initial value, also of shared memory', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(70_000)).map((_, index) => (index * 31) >> 3);
  const at = fc.nat(shared.length);
  fc.assert(
    fc.property(at, at, fc.nat(0xffff_ffff), (a, b, initial) => {
      const view = shared.subarray(Math.min(a, b), Math.max(a, b));
      expect(crc32(view)).toBe(zlibCrc32(view));
      expect(crc32(view, initial)).toBe(zlibCrc32(view, initial));
      expect(crc32(Buffer.from(view), initial)).toBe(zlibCrc32(view, initial));
    }),
    { numRuns: RUNS },
  );
});

test('combineCrc32 equals the CRC that zlib computes over the concatenation', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(combineCrc32(zlibCrc32(a), zlibCrc32(b), b.length)).toBe(zlibCrc32(b, zlibCrc32(a)));
    }),
  );
});

test('combineCrc32 is unsigned and associative for lengths beyond 32 bits', () => {
  const [a, b, c] = [zlibCrc32('a'), zlibCrc32('b'), zlibCrc32('c')];
  const gib = 2 ** 33 + 7;
  const left = combineCrc32(combineCrc32(a, b, gib), c, gib);
  const right = combineCrc32(a, combineCrc32(b, c, gib), 2 * gib);
  expect(left).toBe(right);
  expect(left).toBeGreaterThanOrEqual(0);
});
