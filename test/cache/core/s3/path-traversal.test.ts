import * as fc from 'fast-check';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { staysUnder } from '#cache/core/s3/path-traversal.ts';

test.for([
  ['', 'plain', true],
  ['', '', true],
  ['', 'a/../b', true],
  ['', 'a/..', true],
  ['', '...', true],
  ['', 'a..b/..c', true],
  ['', '..', false],
  ['', '../other-bucket/key', false],
  ['', '/../other-bucket/key', false],
  ['', 'a/../../other-bucket/key', false],
  ['', 'a//../../other-bucket/key', false],
  ['', './../x', false],
  ['bob/', 'bob/his', true],
  ['bob/', 'bob/a/../b', true],
  ['bob/', 'bob/', true],
  ['bob/', 'bob/..', false],
  ['bob/', 'bob/../alice/hers', false],
  ['bob/', 'bob/a/../../alice/hers', false],
  ['bob/', 'bob/../bob/his', false],
  ['bob/', 'alice/hers', false],
  ['bob/', 'bob', false],
  ['bob', 'bobby', true],
  ['bob', 'bob/../alice', false],
  ['bob', 'bobby/a/../b', true],
  ['a/b', 'a/b../x', true],
  ['a/b', 'a/bc/../../b', false],
] as const)('staysUnder(%j, %j) is %j', ([prefix, name, answer]) => {
  expect(staysUnder(prefix, name)).toBe(answer);
});

test('an accepted name is under the prefix after its dot segments are resolved, with slashes merged or not', () => {
  const name = fc
    .array(fc.constantFrom('a', 'b', '..', '.', '', 'a..'), { maxLength: 7 })
    .map((parts) => parts.join('/'));
  const prefix = fc.constantFrom('', 'a/', 'a', 'a/b/', 'a/b');
  fc.assert(
    fc.property(prefix, name, (prefix, rest) => {
      const name = prefix + rest;
      if (!staysUnder(prefix, name)) return;
      expect(`${posix.normalize(`/root/${name}`)}/`.startsWith(`/root/${prefix}`)).toBe(true);
      expect(`${unmerged(`root/${name}`)}/`.startsWith(`root/${prefix}`)).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

/** Removes dot segments as in RFC 3986 §5.2.4, where empty segments count. */
function unmerged(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  return kept.join('/');
}
