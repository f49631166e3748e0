import { expect, test } from 'vitest';
import { s3Headers, storageClassOf } from '#cache/origins/azure-blob/headers.ts';

test.for([
  ['Hot', 'STANDARD'],
  ['Cool', 'STANDARD_IA'],
  ['Cold', 'GLACIER_IR'],
  ['Archive', 'GLACIER'],
  [undefined, 'STANDARD'],
  // What every object inherits is not a tier.
  ['constructor', 'STANDARD'],
  ['__proto__', 'STANDARD'],
] as const)('tier %s is class %s', ([tier, storageClass]) => {
  expect(storageClassOf(tier)).toBe(storageClass);
});

test('headers with other names than those of a blob are dropped', () => {
  expect(s3Headers({ 'content-type': 'text/x', 'x-ms-meta-a': 'b', constructor: 'c' })).toEqual({
    'content-type': 'text/x',
    'x-amz-meta-a': 'b',
  });
});
