import { expect, test } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { ListRefusals, refusalScope } from '#cache/engine/metadata/list-refusals.ts';

test('a refusal of a prefix concerns that prefix, one of a bucket concerns all of its lists', () => {
  const refusals = new ListRefusals();
  refusals.refuse('prefix', 'b', 'p/', 1);
  refusals.refuse('bucket', 'c', 'p/', 2);
  const last = [
    ['b', 'p/'],
    ['b', ''],
    ['c', 'p/'],
    ['c', ''],
    ['d', ''],
  ].map(([bucket, prefix]) => refusals.lastMs(bucket!, prefix!));
  expect(last).toEqual([1, -Infinity, 2, 2, -Infinity]);
});

test('a refusal that is forgotten concerns everything: the table is bounded, but no refusal is lost', () => {
  const refusals = new ListRefusals();
  for (let ms = 1; ms <= 10_001; ms++) refusals.refuse('prefix', 'b', `${ms}/`, ms);
  expect(refusals.lastMs('b', '1/')).toBe(1);
  expect(refusals.lastMs('other', '')).toBe(1);
});

test('an older refusal does not replace a newer one', () => {
  const refusals = new ListRefusals();
  refusals.refuse('bucket', 'b', '', 5);
  refusals.refuse('bucket', 'b', '', 3);
  expect(refusals.lastMs('b', '')).toBe(5);
});

test.for([
  ['access_denied', 'prefix'],
  ['origin_denied', 'bucket'],
  ['bucket_not_found', 'bucket'],
  ['origin_unavailable', undefined],
  ['origin_throttled', undefined],
  ['overloaded', undefined],
] as const)('%s refuses %s', ([code, scope]) => {
  expect(refusalScope(new OrcaError(code, 'injected'))).toBe(scope);
});
