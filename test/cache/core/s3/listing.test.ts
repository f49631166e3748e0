import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeToken, encodeToken } from '#cache/core/s3/continuation-token.ts';
import { compareKeys, nameOf, PageBuilder, type ListQuery, type ObjectEntry } from '#cache/core/s3/listing.ts';

const entry = (key: string): ObjectEntry => ({
  key,
  etag: 'e',
  sizeBytes: 1,
  lastModifiedMs: 0,
  storageClass: 'STANDARD',
});

function pageOf(keys: readonly string[], query: Partial<ListQuery> = {}) {
  const builder = new PageBuilder({ prefix: '', delimiter: '', after: '', maxKeys: 1000, ...query });
  for (const key of keys.toSorted(compareKeys)) builder.add(entry(key));
  return builder.page();
}

const names = (keys: readonly string[], query: Partial<ListQuery> = {}) => pageOf(keys, query).items.map(nameOf);

test('keys are ordered by their UTF-8 bytes, not by UTF-16 units', () => {
  expect(names(['\u{1f433}', '\uff5e', 'z', 'é'])).toEqual(['z', 'é', '\uff5e', '\u{1f433}']);
});

describe('a delimiter', () => {
  const keys = ['a', 'boo/', 'boo/x', 'boo/y/z', 'bar%q', 'foo::1', 'foo::2', 'c\nd'];

  test('rolls up keys that contain it after the prefix, but not a key that equals the prefix', () => {
    expect(names(keys, { delimiter: '/' })).toEqual(['a', 'bar%q', 'boo/', 'c\nd', 'foo::1', 'foo::2']);
    expect(names(keys, { delimiter: '/', prefix: 'boo/' })).toEqual(['boo/', 'boo/x', 'boo/y/']);
  });

  test.for([
    ['::', ['foo::']],
    ['%', ['bar%']],
    ['\n', ['c\n']],
    ['a', ['a', 'ba']],
  ] as const)('can be any text, such as %j', ([delimiter, prefixes]) => {
    const { items } = pageOf(keys, { delimiter });
    expect(items.flatMap((item) => (item.kind === 'prefix' ? [item.prefix] : []))).toEqual(prefixes);
  });

  test('hides keys that are rolled up into the prefix after which the list continues', () => {
    expect(names(keys, { delimiter: '/', after: 'boo/' })).toEqual(['c\nd', 'foo::1', 'foo::2']);
  });
});

test('a full page without further entries is not truncated', () => {
  expect(pageOf(['a', 'b'], { maxKeys: 2 })).toMatchObject({ truncated: false });
  expect(pageOf(['a', 'b', 'c'], { maxKeys: 2 })).toMatchObject({ truncated: true });
  // Further keys of the same common prefix are not further entries.
  expect(pageOf(['a', 'b/1', 'b/2'], { maxKeys: 2, delimiter: '/' })).toMatchObject({ truncated: false });
});

const key = fc.string({
  unit: fc.constantFrom('a', 'b', '/', ':', 'é', '\uff5e', '\u{1f433}'),
  minLength: 1,
  maxLength: 6,
});
const bucket = fc.uniqueArray(key, { maxLength: 40 });
const some = fc.constantFrom('', 'a', 'b', '/', 'a/', '::', 'é');

/** The whole list by definition, as the reference. */
function model(keys: readonly string[], prefix: string, delimiter: string): string[] {
  const named = keys
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const at = delimiter === '' ? -1 : key.slice(prefix.length).indexOf(delimiter);
      return at < 0 ? key : key.slice(0, prefix.length + at + delimiter.length);
    });
  return [...new Set(named)].toSorted(compareKeys);
}

test('pages of any size concatenate to the whole list without duplicates', () => {
  fc.assert(
    fc.property(bucket, some, some, fc.integer({ min: 1, max: 7 }), (keys, prefix, delimiter, maxKeys) => {
      const seen: string[] = [];
      let after = '';
      for (;;) {
        const page = pageOf(keys, { prefix, delimiter, after, maxKeys });
        seen.push(...page.items.map(nameOf));
        expect(page.items.length).toBeLessThanOrEqual(maxKeys);
        if (!page.truncated) break;
        expect(page.items).toHaveLength(maxKeys);
        after = decodeToken(
          { bucket: 'b', prefix, delimiter },
          encodeToken({ bucket: 'b', prefix, delimiter }, seen.at(-1) ?? ''),
        );
      }
      expect(seen).toEqual(model(keys, prefix, delimiter));
    }),
    { numRuns: 2_000 },
  );
});

describe('a continuation token', () => {
  const query = { bucket: 'b', prefix: 'p/', delimiter: '/' };

  test('is accepted only for its own query', () => {
    const token = encodeToken(query, 'p/é');
    expect(decodeToken(query, token)).toBe('p/é');
    for (const other of [{ bucket: 'c' }, { prefix: 'p' }, { delimiter: '' }])
      expect(() => decodeToken({ ...query, ...other }, token)).toThrow('The continuation token provided is incorrect');
  });

  test('is rejected if it is invented, truncated or modified', () => {
    const token = encodeToken(query, 'p/key');
    const cut = Array.from({ length: token.length }, (_, length) => token.slice(0, length));
    const changed = Array.from(token).map(
      (character, at) => token.slice(0, at) + (character === 'A' ? 'B' : 'A') + token.slice(at + 1),
    );
    for (const bad of ['garbage', '!', `${token}A`, `${token}=`, ...cut, ...changed])
      expect(() => decodeToken(query, bad)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
