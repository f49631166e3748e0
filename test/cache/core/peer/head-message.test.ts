import { describe, expect, test } from 'vitest';
import {
  decodeHeadAnswer,
  decodeManifest,
  encodeHead,
  encodeHeadAnswer,
  encodeTombstone,
} from '#cache/core/peer/head-message.ts';

const known = {
  learnedMs: 5,
  head: {
    etag: 'e-1',
    sizeBytes: 7,
    lastModifiedMs: 9,
    headers: { 'content-type': 'text/plain', 'x-amz-meta-a': 'caf\xe9' },
  },
};
const text = (changes: object): string => JSON.stringify({ ...(JSON.parse(encodeHead(known)) as object), ...changes });

test('decodes what was encoded', () => {
  expect(decodeManifest(encodeHead(known))).toEqual({ isDeleted: false, ...known });
  expect(decodeManifest(encodeTombstone(3))).toEqual({ isDeleted: true, learnedMs: 3 });
});

test('a manifest that is stored under another name is not taken for that object; one without a name is', () => {
  for (const manifest of [encodeHead(known, 'a'), encodeTombstone(3, 'a')]) {
    expect(decodeManifest(manifest, 'a')).toBeDefined();
    expect(decodeManifest(manifest, 'b')).toBeUndefined();
  }
  expect(decodeManifest(encodeHead(known), 'a')).toMatchObject(known);
});

describe('the response of a replica', () => {
  const answer = encodeHeadAnswer(known.head, 1_500);

  test('contains the age, so that a changed header has no effect', () => {
    for (const header of ['0', '1500', 'x', undefined])
      expect(decodeHeadAnswer(answer, header)).toEqual({ head: known.head, ageMs: 1_500 });
  });

  test('that an older release sent has it in a header', () => {
    const older = encodeHead({ ...known, learnedMs: 0 });
    expect(decodeHeadAnswer(older, '20')).toEqual({ head: known.head, ageMs: 20 });
    for (const header of [undefined, '-1', 'x', '1.5']) expect(decodeHeadAnswer(older, header)).toBeUndefined();
  });

  test('is read by an older release', () => {
    expect(decodeManifest(answer)).toMatchObject({ head: known.head });
  });

  test('that is a tombstone, or has no valid age, is rejected', () => {
    expect(decodeHeadAnswer(encodeTombstone(3), '0')).toBeUndefined();
    for (const ageMs of [-1, 1.5, '5', {}])
      expect(decodeHeadAnswer(JSON.stringify({ ...(JSON.parse(answer) as object), ageMs }), '0')).toBeUndefined();
  });
});

describe('a manifest written by another program', () => {
  test.for([
    ['a line break in a header', text({ headers: { 'content-type': 'a\r\nx-evil: 1' } })],
    ['a header that is not Latin-1', text({ headers: { 'x-amz-meta-a': '\u{1f433}' } })],
    ['an ETag with a quote', text({ etag: 'a", x="' })],
    ['an ETag with a line break', text({ etag: 'a\r\nb' })],
    ['a size below zero', text({ sizeBytes: -1 })],
    ['a size past 2^53', text({ sizeBytes: 2 ** 60 })],
    ['a time beyond the range of dates', text({ lastModifiedMs: 1e300 })],
    ['a list of headers', text({ headers: ['a'] })],
    ['another format', text({ format: 2 })],
    ['no JSON', '{'],
    ['null', 'null'],
  ] as const)('is ignored with %s', ([, manifest]) => {
    expect(decodeManifest(manifest)).toBeUndefined();
  });

  test('contributes only headers that describe the object', () => {
    const headers = {
      'content-type': 'text/plain',
      'transfer-encoding': 'chunked',
      'content-length': '1',
      'set-cookie': 'a=b',
      'Content-Type': 'text/html',
      __proto__: 'x',
      'x-amz-meta-a b': 'c',
    };
    const read = decodeManifest(text({ headers }));
    expect(read?.isDeleted === false && read.head.headers).toEqual({ 'content-type': 'text/plain' });
  });
});
