import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareKeys } from '#cache/core/s3/listing.ts';
import { compareIn, S3Order, type NameOrder } from '#cache/origins/azure-blob/order.ts';

const named = (names: readonly string[]) => names.map((name) => ({ name }));

function placed(order: NameOrder, names: readonly string[], prefix = '', after = '', maxHeld = 1000): string[] {
  const s3 = new S3Order(prefix, after, maxHeld);
  if (order === 'segments') s3.sortsBySegments();
  return [...named(names).flatMap((item) => s3.push(item)), ...s3.flush()].map(({ name }) => name);
}

/** A small alphabet, so that names share prefixes, with characters on both sides of `/` and of the surrogates. */
const name = fc
  .array(fc.constantFrom('a', 'b', '/', '-', '.', '0', '\ud7ff', '\ue000', '\uff5e', '\u{1f433}', '\u{10000}'), {
    minLength: 1,
    maxLength: 7,
  })
  .map((letters) => letters.join(''));

describe.for(['flat', 'segments'] as const)('names in the order %s', (order) => {
  test('are returned once each, in S3’s order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 60 }), (names) => {
        const azure = names.toSorted((a, b) => compareIn(order, a, b));
        expect(placed(order, azure)).toEqual(names.toSorted(compareKeys));
      }),
      { numRuns: 500 },
    );
  });

  test('are returned in S3’s order after any key and under any prefix', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 60 }),
        name,
        fc.constantFrom('', 'a', 'a/'),
        (names, end, prefix) => {
          const after = prefix + end;
          const wanted = names.map((rest) => prefix + rest).filter((full) => compareKeys(full, after) > 0);
          const azure = wanted.toSorted((a, b) => compareIn(order, a, b));
          expect(placed(order, azure, prefix, after)).toEqual(wanted.toSorted(compareKeys));
        },
      ),
      { numRuns: 500 },
    );
  });
});

test('ordinary names of a flat account are never held back', () => {
  const s3 = new S3Order('', '');
  for (const item of named(['a-b', 'a/x', 'a/y', 'b', 'é', '\uffee'])) {
    expect(s3.push(item)).toEqual([item]);
    expect(s3.isEmpty).toBe(true);
  }
});

test('names in a directory are held back until no name before the directory can follow', () => {
  const s3 = new S3Order('', '');
  s3.sortsBySegments();
  expect(s3.push({ name: 'a/x' })).toEqual([]);
  expect(s3.push({ name: 'a-b' })).toEqual([]);
  expect(s3.push({ name: 'a0' }).map((item) => item.name)).toEqual(['a-b', 'a/x', 'a0']);
  expect(s3.isEmpty).toBe(true);
});

test('names are not held back for names on earlier pages', () => {
  const s3 = new S3Order('', 'a/x');
  s3.sortsBySegments();
  expect(s3.push({ name: 'a/y' })).toHaveLength(1);
  expect(s3.isEmpty).toBe(true);
});

test('rejects a directory with more names than may be held back', () => {
  const names = Array.from({ length: 11 }, (_, index) => `a/${String(index).padStart(2, '0')}`);
  expect(placed('segments', names.slice(0, 10), '', '', 10)).toHaveLength(10);
  expect(() => placed('segments', names, '', '', 10)).toThrow(/more than 10 names under "a"/);
});

test.for([
  ['flat', ['b', 'a']],
  ['flat', ['a', 'a']],
  ['segments', ['a-b', 'a/x']],
] as const)('rejects names that are not in the order %s: %j', ([order, names]) => {
  expect(() => placed(order, names)).toThrow(expect.objectContaining({ code: 'origin_unsupported' }) as Error);
});
