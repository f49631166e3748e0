import { expect, test } from 'vitest';
import { growth, type Minute } from '#hack/soak.d/verdict.ts';

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

test('what is the same at the end as after the first quarter has not grown, whatever was between', () => {
  expect(growth([minute(1), minute(5), minute(6, { sockets: 200 }), minute(20)])).toEqual([]);
});

test.for<[string, Partial<Minute>]>([
  ['memory', { rssBytes: 331 * MIB }],
  ['sockets', { sockets: 26 }],
  ['descriptors', { descriptors: 46 }],
  ['event-loop lag', { lagP99Ms: 18.1 }],
  ['held by nobody', { heldBytes: 1 }],
])('%s that grow are told', ([what, change]) => {
  expect(growth([minute(5), minute(20, change)])).toEqual([expect.stringContaining(what)]);
});

test('each replica is compared with itself', () => {
  const samples = [
    minute(5),
    minute(5, { replica: 'b', sockets: 90 }),
    minute(20),
    minute(20, { replica: 'b', sockets: 94 }),
  ];
  expect(growth(samples)).toEqual([]);
});
