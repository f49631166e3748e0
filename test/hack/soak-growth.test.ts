import { expect, test } from 'vitest';
import { growth, type Minute } from '#hack/soak.d/growth.ts';

const MIB = 1024 * 1024;

function minute(number: number, change: Partial<Minute> = {}): Minute {
  return {
    minute: number,
    replica: 'a',
    rssBytes: 300 * MIB,
    sockets: 20,
    descriptors: 40,
    lagP99Ms: 12,
    heldBytes: 0,
    ...change,
  };
}

test('ignores temporary growth between the first quarter and the end', () => {
  expect(growth([minute(1), minute(5), minute(6, { sockets: 200 }), minute(20)])).toEqual([]);
});

test.for<[string, Partial<Minute>]>([
  ['memory', { rssBytes: 331 * MIB }],
  ['sockets', { sockets: 26 }],
  ['descriptors', { descriptors: 46 }],
  ['event-loop lag', { lagP99Ms: 18.1 }],
  ['not released', { heldBytes: 1 }],
])('reports growth of %s', ([what, change]) => {
  expect(growth([minute(5), minute(20, change)])).toEqual([expect.stringContaining(what)]);
});

test('compares the memory of three minutes, because the allocator retains more in some', () => {
  const rss = (...mib: readonly number[]): Minute[] =>
    [5, 6, 7, 18, 19, 20].map((at, index) => minute(at, { rssBytes: (mib[index] ?? 0) * MIB }));
  expect(growth(rss(659, 688, 707, 700, 727, 731))).toEqual([]);
  expect(growth(rss(659, 688, 707, 750, 760, 700))).toEqual([]);
  expect(growth(rss(659, 688, 707, 758, 760, 770))).toEqual(['a: MiB of memory 760 in minute 20, 688 in minute 5']);
});

test('compares each replica with itself', () => {
  const samples = [
    minute(5),
    minute(5, { replica: 'b', sockets: 90 }),
    minute(20),
    minute(20, { replica: 'b', sockets: 94 }),
  ];
  expect(growth(samples)).toEqual([]);
});
