import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatQuantity, parseQuantity, parseResource, roundQuantity } from '#crds/quantity.ts';

describe('a size', () => {
  test.for([
    ['0', 0],
    ['8388608', 8_388_608],
    [8_388_608, 8_388_608],
    ['512Ki', 524_288],
    ['8Mi', 8_388_608],
    ['1Gi', 1_073_741_824],
    ['100Ti', 109_951_162_777_600],
    ['5k', 5000],
    ['5M', 5_000_000],
    ['5G', 5_000_000_000],
    ['5T', 5_000_000_000_000],
  ] as const)('of %s is %d bytes', ([text, sizeBytes]) => {
    expect(parseQuantity(text)).toBe(sizeBytes);
  });

  test.for([
    '',
    'Mi',
    '8 Mi',
    '8MiB',
    '8MB',
    '8mi',
    '-8Mi',
    '+8Mi',
    '1.5Gi',
    '8e6',
    '8Mi ',
    '8K',
    '8Pi',
    '1234567Mi',
    '999999Ti',
    1.5,
    -1,
  ])('is not %j', (text) => {
    expect(parseQuantity(text)).toBeUndefined();
  });

  test('survives formatting and parsing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat().filter((n) => n < 1e15),
          fc.integer({ min: 0, max: 1e9 }).map((n) => n * 1024),
        ),
        (sizeBytes) => {
          expect(parseQuantity(formatQuantity(sizeBytes))).toBe(sizeBytes);
        },
      ),
    );
  });

  test('is formatted in the largest unit that represents it exactly', () => {
    expect([8_388_608, 8_388_609, 1_073_741_824, 1024, 1023].map(formatQuantity)).toEqual([
      '8Mi',
      '8388609',
      '1Gi',
      '1Ki',
      '1023',
    ]);
  });
});

test('a unit that every object inherits is not a unit', () => {
  expect(['5constructor', '5valueOf', '5toString'].map(parseResource)).toEqual([undefined, undefined, undefined]);
});

describe('a rounded size', () => {
  test.for([
    [0, '0'],
    [1023, '1023'],
    [1024, '1Ki'],
    [1_048_575, '1Mi'],
    [512 * 2 ** 20, '512Mi'],
    [1023 * 2 ** 30, '1023Gi'],
    [1023.7 * 2 ** 30, '1Ti'],
    [14.2345 * 2 ** 40, '14.2Ti'],
    [99.96 * 2 ** 40, '100Ti'],
    [5000 * 2 ** 40, '5000Ti'],
  ] as const)('of %i bytes is %s', ([sizeBytes, expected]) => {
    expect(roundQuantity(sizeBytes)).toBe(expected);
  });

  test('is within a hundredth of the size, and can be parsed', () => {
    for (let sizeBytes = 1; sizeBytes < 2 ** 52; sizeBytes = Math.ceil(sizeBytes * 1.37))
      expect(Math.abs((parseResource(roundQuantity(sizeBytes)) ?? 0) / sizeBytes - 1)).toBeLessThan(0.01);
  });
});
