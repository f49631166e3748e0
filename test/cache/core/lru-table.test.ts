import { expect, test } from 'vitest';
import { LruTable } from '#cache/core/lru-table.ts';

const names = <T>(table: LruTable<T>): string[] => ['a', 'b', 'c', 'd'].filter((name) => table.get(name) !== undefined);

test('evicts the least recently used entry', () => {
  const table = new LruTable<number>({ maxEntries: 2 });
  table.set('a', 1);
  table.set('b', 2);
  expect(table.get('a')).toBe(1);
  table.set('c', 3);
  expect(names(table)).toEqual(['a', 'c']);
  table.delete('a');
  table.set('d', 4);
  expect(names(table)).toEqual(['c', 'd']);
});

test('evicts by weight, but never the newest entry', () => {
  const table = new LruTable<string>({ maxEntries: 100, maxWeight: 10, weigh: (_name, text) => text.length });
  for (const name of ['a', 'b', 'c']) table.set(name, 'xxx');
  expect(names(table)).toEqual(['a', 'b', 'c']);
  table.set('d', 'xxxx');
  expect(names(table)).toEqual(['b', 'c', 'd']);
  table.set('d', 'x');
  expect(table.weight).toBe(7);
  table.set('a', 'x'.repeat(50));
  expect([names(table), table.size, table.weight]).toEqual([['a'], 1, 50]);
  table.delete('a');
  expect(table.weight).toBe(0);
});

test('a large table never evicts an entry that was used since many others were set', () => {
  const maxEntries = 1_600;
  const table = new LruTable<number>({ maxEntries });
  const [used, unused] = ['used', 'unused'];
  table.set(used, 0);
  table.set(unused, 0);
  for (let index = 0; index < 20 * maxEntries; index++) {
    table.set(String(index), index);
    // Less often than once in a sixteenth of the table.
    if (index % 150 === 0) expect(table.get(used)).toBe(0);
  }
  expect(table.get(unused)).toBeUndefined();
  expect(table.size).toBe(maxEntries);
});

test('a table whose limit is its weight keeps what is used, whatever number of entries it may have', () => {
  const maxEntries = 100_000;
  // Room for 100 entries: far fewer than may be set before an entry of a table of 100 000 is moved.
  const table = new LruTable<number>({ maxEntries, maxWeight: 1_000, weigh: () => 10 });
  table.set('used', 0);
  for (let index = 0; index < 1_000; index++) {
    table.set(String(index), index);
    expect(table.get('used')).toBe(0);
  }
  expect(table.size).toBe(100);
});
