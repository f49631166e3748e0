import { expect, test } from 'vitest';
import { mayAccessBucket, mayRead } from '#cache/core/s3/key-ring.ts';

const caller = {
  label: 'us',
  signed: true,
  grants: [
    { name: 'team-*', prefix: 'public/' },
    { name: 'models', prefix: '' },
  ],
};

test.for([
  ['models', true],
  ['team-red', true],
  ['team-', false],
  ['team-*', false],
  ['team-a/b', false],
  ['teams', false],
  ['models-other', false],
] as const)('a grant with a pattern covers the bucket %s: %s', ([bucket, isCovered]) => {
  expect(mayAccessBucket(caller, bucket)).toBe(isCovered);
});

test('the prefix of a grant with a pattern holds in each of its buckets', () => {
  expect(mayRead(caller, 'team-red', 'public/a')).toBe(true);
  expect(mayRead(caller, 'team-red', 'secret')).toBe(false);
});
