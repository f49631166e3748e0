import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentRange, resolveRange } from '#cache/core/range.ts';

describe('the Range header for an object of 100 bytes', () => {
  test.for([
    'bytes=,',
    'bytes= -1',
    'bytes=--1',
    'bytes=0 -1',
    'bytes=0--1',
    'bytes=10-5',
    'bytes=abc',
    'foo=0-1',
    'bytes=100-x',
    'bytes=0-0,1-2',
    'bytes=200-150',
    'bytes=-',
    undefined,
  ])('%s is ignored', (header) => {
    expect(resolveRange(header, 100)).toEqual({ kind: 'whole' });
  });

  test.for([
    ['bytes=00-01', 0, 2],
    ['bytes=-1', 99, 100],
    ['bytes=-100', 0, 100],
    ['bytes=-101', 0, 100],
    ['bytes=0-0', 0, 1],
    ['bytes=0-100', 0, 100],
    ['bytes=0-999999', 0, 100],
    ['bytes=50-', 50, 100],
    ['bytes=0-', 0, 100],
    ['bytes=99-99999999999999999999', 99, 100],
  ] as const)('%s resolves to [%i, %i)', ([header, from, to]) => {
    expect(resolveRange(header, 100)).toEqual({ kind: 'part', range: { from, to } });
  });

  test.for(['bytes=-0', 'bytes=100-100', 'bytes=100-', 'bytes=100-110', 'bytes=99999999999999999999-'])(
    '%s cannot be satisfied',
    (header) => {
      expect(resolveRange(header, 100)).toEqual({ kind: 'unsatisfiable' });
    },
  );
});

describe('the Range header for an empty object', () => {
  test.for(['bytes=0-', 'bytes=0-0', 'bytes=5-9', 'bytes=-0'])('%s cannot be satisfied', (header) => {
    expect(resolveRange(header, 0)).toEqual({ kind: 'unsatisfiable' });
  });

  test('a suffix resolves to the whole object', () => {
    expect(resolveRange('bytes=-5', 0)).toEqual({ kind: 'whole' });
  });
});

test('a resolved range is within the object and never empty', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.option(fc.nat(2000)), fc.option(fc.nat(2000)), (size, first, last) => {
      const result = resolveRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      if (result.kind !== 'part') return;
      expect(result.range.from).toBeGreaterThanOrEqual(0);
      expect(result.range.from).toBeLessThan(result.range.to);
      expect(result.range.to).toBeLessThanOrEqual(size);
    }),
  );
});

test('Content-Range has an inclusive end', () => {
  expect(contentRange({ from: 0, to: 10 }, 100)).toBe('bytes 0-9/100');
});
