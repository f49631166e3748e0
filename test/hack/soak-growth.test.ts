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

test('compares each replica with itself', () => {
  const samples = [
    minute(5),
    minute(5, { replica: 'b', sockets: 90 }),
    minute(20),
    minute(20, { replica: 'b', sockets: 94 }),
  ];
  expect(growth(samples)).toEqual([]);
});
