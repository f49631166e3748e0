import { expect, test } from 'vitest';
import { InFlightTable } from '#cache/engine/streams/in-flight-table.ts';

test('finds the first stream of a key that is accepted', () => {
  const table = new InFlightTable<string, number>();
  table.add('a', 1);
  table.add('a', 2);
  table.add('b', 3);
  expect(table.find('a')).toBe(1);
  expect(table.find('a', (stream) => stream > 1)).toBe(2);
  expect(table.find('a', (stream) => stream > 2)).toBeUndefined();
  expect(table.find('c')).toBeUndefined();
});

test('counts and lists the streams of all keys', () => {
  const table = new InFlightTable<string, number>();
  expect([table.count, [...table.values()]]).toEqual([0, []]);
  table.add('a', 1);
  table.add('b', 2);
  table.add('a', 3);
  expect([table.count, new Set(table.values())]).toEqual([3, new Set([1, 2, 3])]);
});

test('removes one stream of a key, once', () => {
  const table = new InFlightTable<string, number>();
  table.add('a', 1);
  table.add('a', 2);
  expect(table.remove('a', 1)).toBe(true);
  expect(table.remove('a', 1)).toBe(false);
  expect(table.remove('b', 2)).toBe(false);
  expect([table.count, table.find('a')]).toEqual([1, 2]);
  expect(table.remove('a', 2)).toBe(true);
  expect([table.count, table.find('a')]).toEqual([0, undefined]);
});

test('a removed stream can be added again', () => {
  const table = new InFlightTable<string, number>();
  table.add('a', 1);
  table.remove('a', 1);
  table.add('a', 1);
  expect([table.count, table.find('a')]).toEqual([1, 1]);
});
