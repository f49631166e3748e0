import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { combineCrc32 } from '#cache/core/crc32.ts';

test('combineCrc32 equals the CRC that zlib computes over the concatenation', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(crc32(b, crc32(a)));
    }),
  );
});

test('combineCrc32 is unsigned and associative for lengths beyond 32 bits', () => {
  const [a, b, c] = [crc32('a'), crc32('b'), crc32('c')];
  const gib = 2 ** 33 + 7;
  const left = combineCrc32(combineCrc32(a, b, gib), c, gib);
  const right = combineCrc32(a, combineCrc32(b, c, gib), 2 * gib);
  expect(left).toBe(right);
  expect(left).toBeGreaterThanOrEqual(0);
});
