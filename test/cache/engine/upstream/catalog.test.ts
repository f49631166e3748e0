import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkPath } from '#cache/core/chunk.ts';
import { Catalog } from '#cache/engine/upstream/catalog.ts';

const path = (index: number) => `o/h/${index}` as ChunkPath;

test('contains added chunks until they are removed', () => {
  const catalog = new Catalog(10);
  catalog.add(path(1));
  expect(catalog.has(path(1))).toBe(true);
  catalog.forget(path(1));
  expect(catalog.has(path(1))).toBe(false);
  expect(catalog.size).toBe(0);
});

test('a hit in the old generation promotes its entry; other entries are dropped with that generation', () => {
  const catalog = new Catalog(4);
  catalog.add(path(1));
  catalog.add(path(2));
  catalog.add(path(3));
  expect(catalog.has(path(1))).toBe(true);
  catalog.add(path(4));
  expect(catalog.has(path(2))).toBe(false);
  expect(catalog.has(path(1))).toBe(true);
});

test('a tombstone hides an entry of the old generation', () => {
  const catalog = new Catalog(4);
  catalog.add(path(1));
  catalog.add(path(2));
  catalog.add(path(3));
  catalog.forget(path(1));
  expect(catalog.has(path(1))).toBe(false);
  catalog.add(path(1));
  expect(catalog.has(path(1))).toBe(true);
});

test('never contains a chunk that was not added or was removed since, and stays within its bound', () => {
  const step = fc.tuple(fc.constantFrom('add', 'forget', 'has'), fc.nat(30));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const catalog = new Catalog(10);
      const expected = new Set<number>();
      for (const [what, index] of steps) {
        if (what === 'add') {
          catalog.add(path(index));
          expected.add(index);
          expect(catalog.has(path(index))).toBe(true);
        } else if (what === 'forget') {
          catalog.forget(path(index));
          expected.delete(index);
        } else if (catalog.has(path(index))) expect(expected.has(index)).toBe(true);
        expect(catalog.size).toBeLessThanOrEqual(10);
      }
    }),
  );
});
