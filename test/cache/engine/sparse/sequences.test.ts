import { expect, test } from 'vitest';
import { Sequences } from '#cache/engine/sparse/sequences.ts';

const KIB = 1024;
const read = (from: number, lengthBytes = 4 * KIB) => ({ from, to: from + lengthBytes });

test('a read that begins where another one ended continues it', () => {
  const sequences = new Sequences();
  expect(sequences.continue('a/', read(0))).toEqual({ reads: 1, askedBytes: 4 * KIB });
  expect(sequences.continue('a/', read(4 * KIB))).toEqual({ reads: 2, askedBytes: 8 * KIB });
  // Another object, another place.
  expect(sequences.continue('b/', read(8 * KIB)).reads).toBe(1);
  expect(sequences.continue('a/', read(9 * KIB)).reads).toBe(1);
  expect(sequences.continue('a/', read(8 * KIB)).reads).toBe(3);
});

test('readers at the same place each continue their sequence', () => {
  const sequences = new Sequences();
  for (let reader = 0; reader < 2; reader++) sequences.continue('a/', read(0));
  for (let reader = 0; reader < 2; reader++) expect(sequences.continue('a/', read(4 * KIB)).reads).toBe(2);
});

test('a reader that has come through a chunk in memory is in sequence at its end', () => {
  const sequences = new Sequences();
  sequences.passed('a/', 64 * KIB, 64 * KIB);
  expect(sequences.continue('a/', read(64 * KIB))).toEqual({ reads: 2, askedBytes: 68 * KIB });
});

test('random reads displace the sequence that was continued longest ago', () => {
  const sequences = new Sequences();
  sequences.continue('old/', read(0));
  sequences.continue('new/', read(0));
  for (let number = 0; number < 4_095; number++) sequences.continue('random/', read(number * 8 * KIB));
  expect(sequences.continue('new/', read(4 * KIB)).reads).toBe(2);
  expect(sequences.continue('old/', read(4 * KIB)).reads).toBe(1);
});
