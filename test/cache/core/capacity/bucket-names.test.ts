import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addBucketBytes,
  addByBucket,
  BucketNames,
  formatByBucket,
  largestBuckets,
  MAX_BUCKETS,
  OTHER_BUCKET,
  parseBucketNames,
  parseByBucket,
} from '#cache/core/capacity/bucket-names.ts';
import { bucketNames, byBucket } from '#test/support/capacity.ts';
import { RUNS } from '#test/support/fuzz.ts';

const many = Array.from({ length: MAX_BUCKETS + 5 }, (_, at) => `bucket-${at}`);

function sum(bytes: ReadonlyMap<string, number>): number {
  return [...bytes.values()].reduce((total, size) => total + size, 0);
}

describe('numbers of bucket names', () => {
  it('are those of the names, from 1', () => {
    const names = new BucketNames(['a', 'b']);
    expect([names.numberOf('b'), names.numberOf('c'), names.numberOf('c'), names.nameOf(3)]).toEqual([2, 3, 3, 'c']);
  });

  it('end at the limit: further buckets have no number', () => {
    const names = new BucketNames();
    const numbers = many.map((name) => names.numberOf(name));
    expect(numbers.slice(-6)).toEqual([MAX_BUCKETS, 0, 0, 0, 0, 0]);
    expect([names.nameOf(0), names.nameOf(MAX_BUCKETS + 1)]).toEqual([OTHER_BUCKET, OTHER_BUCKET]);
    expect(names.numberOf('bucket-3')).toBe(4);
  });

  it('end at a total length of the names, which are stored with each ledger', () => {
    const names = new BucketNames();
    for (let at = 0; at < 300; at++) names.numberOf(`${at}-`.padEnd(255, 'x'));
    expect(names.names.join('').length).toBeLessThanOrEqual(64 * 1024);
    expect(parseBucketNames(names.names)).toBeDefined();
  });

  it('survive JSON', () => {
    fc.assert(
      fc.property(bucketNames, (names) => {
        expect(parseBucketNames(JSON.parse(JSON.stringify(names.names)))?.names).toEqual(names.names);
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['a name that occurs twice', ['a', 'a']],
    ['a number', ['a', 1]],
    ['an empty name', ['']],
    ['a long name', ['x'.repeat(256)]],
    ['half a surrogate', ['\ud800']],
    ['too many', many],
    ['no array', { length: 1, 0: 'a' }],
  ])('%s is refused', (_, value) => {
    expect(parseBucketNames(value)).toBeUndefined();
  });
});

describe('bytes by bucket', () => {
  it('add up, and keep their sum beyond the limit of names', () => {
    const into = new Map<string, number>();
    for (const name of many) addBucketBytes(into, name, 2);
    addByBucket(into, new Map([['bucket-1', 5]]));
    expect(into.size).toBe(MAX_BUCKETS + 1);
    expect([into.get('bucket-1'), into.get(OTHER_BUCKET), sum(into)]).toEqual([7, 10, 2 * many.length + 5]);
    expect(parseByBucket(formatByBucket(into))).toEqual(into);
  });

  it('the largest ones are kept, and the sum', () => {
    fc.assert(
      fc.property(byBucket, fc.nat(12), (bytes, count) => {
        const largest = largestBuckets(bytes, count);
        expect(sum(largest)).toBe(sum(bytes));
        expect([...largest.keys()].filter((name) => name !== OTHER_BUCKET).length).toBeLessThanOrEqual(count);
        const kept = [...bytes].filter(([name]) => largest.has(name)).map(([, size]) => size);
        const left = [...bytes].filter(([name]) => !largest.has(name)).map(([, size]) => size);
        expect(Math.max(0, ...left)).toBeLessThanOrEqual(Math.min(Number.POSITIVE_INFINITY, ...kept));
      }),
      { numRuns: RUNS },
    );
  });

  it('survive JSON', () => {
    fc.assert(
      fc.property(byBucket, (bytes) => {
        expect(parseByBucket(JSON.parse(JSON.stringify(formatByBucket(bytes))))).toEqual(bytes);
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    [
      'a name that occurs twice',
      [
        ['a', 1],
        ['a', 1],
      ],
    ],
    ['a negative size', [['a', -1]]],
    ['a fraction', [['a', 1.5]]],
    ['a text', ['a1']],
    ['half a pair', [['a']]],
    ['three items', [['a', 1, 2]]],
    ['an object', { a: 1 }],
    ['too many', [...many, ...many].map((name, at) => [`${name}.${at}`, 1])],
  ])('%s is refused', (_, value) => {
    expect(parseByBucket(value)).toBeUndefined();
  });
});
