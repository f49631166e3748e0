import * as fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeStoredList, encodeStoredList, type StoredList } from '#cache/engine/metadata/list-page-codec.ts';

const TEXT = fc.string({ unit: 'binary', maxLength: 40 });
const COUNT = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const ENTRY = fc.record({
  key: TEXT,
  etag: TEXT,
  sizeBytes: COUNT,
  lastModifiedMs: fc.integer({ min: 0, max: 8.64e15 }),
  storageClass: TEXT,
  restore: fc.option(TEXT, { nil: undefined }),
  checksums: fc.option(
    fc.record({ algorithms: fc.array(TEXT, { maxLength: 2 }), type: fc.option(TEXT, { nil: undefined }) }),
    { nil: undefined },
  ),
});
const ITEM = fc.oneof(
  fc.record({ kind: fc.constant('prefix' as const), prefix: TEXT }),
  fc.record({ kind: fc.constant('object' as const), entry: ENTRY }),
);
const STORED: fc.Arbitrary<StoredList> = fc.record({
  name: TEXT,
  learnedMs: COUNT,
  isRepeated: fc.boolean(),
  page: fc.option(fc.record({ items: fc.array(ITEM, { maxLength: 5 }), truncated: fc.boolean() }), { nil: undefined }),
});

test('a page is read as it was written', () => {
  fc.assert(
    fc.property(STORED, (stored) => {
      expect(decodeStoredList(encodeStoredList(stored))).toEqual(stored);
    }),
    { numRuns: 200 },
  );
});

const GOOD = { format: 1, name: 'n', learnedMs: 1, isRepeated: false, truncated: false };
const ITEM_FIELDS: readonly unknown[] = ['k', 'e', 1, 0, 'STANDARD', null, null, null];

test.for([
  ['another format', { ...GOOD, format: 2, items: [] }],
  ['no name', { ...GOOD, name: undefined, items: [] }],
  ['a negative date', { ...GOOD, learnedMs: -1, items: [] }],
  ['no array', { ...GOOD, items: {} }],
  ['an item of another kind', { ...GOOD, items: [1] }],
  ['a size that is not a number', { ...GOOD, items: [ITEM_FIELDS.with(2, '1')] }],
  ['a key that is not a text', { ...GOOD, items: [ITEM_FIELDS.with(0, null)] }],
  ['a modification time out of range', { ...GOOD, items: [ITEM_FIELDS.with(3, 1e16)] }],
  ['algorithms that are not texts', { ...GOOD, items: [ITEM_FIELDS.with(6, [1])] }],
] as const)('%s is not read', ([, value]) => {
  expect(decodeStoredList(zstdCompressSync(JSON.stringify(value)))).toBeUndefined();
});

test('other bytes, and a page that is too large when decompressed, are not read', () => {
  expect(decodeStoredList(Buffer.from('{}'))).toBeUndefined();
  expect(decodeStoredList(zstdCompressSync('null'))).toBeUndefined();
  const bomb = JSON.stringify({ ...GOOD, items: ['x'.repeat(9 * 1024 * 1024)] });
  expect(decodeStoredList(zstdCompressSync(bomb))).toBeUndefined();
});
