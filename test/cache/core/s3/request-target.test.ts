import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyIsTooLong, parseRequestTarget } from '#cache/core/s3/request-target.ts';
import { codePoint } from '#test/support/fuzz.ts';

describe('the key of a raw target is preserved', () => {
  test.for([
    ['/b/plain', 'plain'],
    ['/b/with%20space', 'with space'],
    ['/b/(1)', '(1)'],
    ['/b/a+b', 'a+b'],
    ['/b/100%25', '100%'],
    ['/b/a%2Fb', 'a/b'],
    ['/b/a%252Fb', 'a%2Fb'],
    ['/b//double//slash', '/double//slash'],
    ['/b/../up', '../up'],
    ['/b/%2e%2e/up', '../up'],
    ['/b/./x', './x'],
    ['/b/%C3%A9', 'é'],
    ['/b/tail/', 'tail/'],
    ['/b/\\back', '\\back'],
    ['/b/a?x-id=GetObject', 'a'],
    ['http://host:8443/b/a', 'a'],
  ] as const)('%s', ([raw, key]) => {
    expect(parseRequestTarget(raw)).toMatchObject({ bucket: 'b', key });
  });

  test('for any key', () => {
    const key = fc.string({ unit: codePoint, minLength: 1 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(key, (key) => {
        expect(parseRequestTarget(`/b/${encodeURIComponent(key)}`).key).toBe(key);
      }),
    );
  });
});

test('parses bucket targets with and without a slash, and service targets', () => {
  expect(parseRequestTarget('/b')).toMatchObject({ bucket: 'b', key: '' });
  expect(parseRequestTarget('/b/')).toMatchObject({ bucket: 'b', key: '' });
  expect(parseRequestTarget('/')).toMatchObject({ bucket: '', key: '' });
  expect(parseRequestTarget('/?list-type=2')).toMatchObject({ bucket: '', key: '' });
});

test('in the query a plus sign is a space, and a name without a value has an empty value', () => {
  expect([...parseRequestTarget('/b?prefix=a+b%2Bc&uploads&x=1=2').query]).toEqual([
    ['prefix', 'a b+c'],
    ['uploads', ''],
    ['x', '1=2'],
  ]);
});

test.for(['/b/%', '/b/%zz', '/b/%C3', '/b/%FF', '/%E0%A4', '/b?%', 'ftp://x/y', '*', 'nonsense'])(
  '%s is rejected',
  (raw) => {
    expect(() => parseRequestTarget(raw)).toThrow(expect.objectContaining({ code: 'invalid_uri' }));
  },
);

test('a key has at most 1024 bytes of UTF-8', () => {
  expect(keyIsTooLong('a'.repeat(1024))).toBe(false);
  expect(keyIsTooLong('a'.repeat(1025))).toBe(true);
  expect(keyIsTooLong('é'.repeat(513))).toBe(true);
});
