import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import {
  formatFillTarget,
  formatFillTerms,
  parseFillQuery,
  parseFillTerms,
  type FillTerms,
} from '#cache/core/peer/fill-request.ts';
import { codePoint } from '#test/support/fuzz.ts';

const MIB = 1024 * 1024;
const LIMITS = { maxChunkSizeBytes: 128 * MIB };
const GOOD = `origin_id=models-eu&bucket=b&key=a%2Fb&etag=e&chunk_size=${8 * MIB}&index=1&object_size=${12 * MIB}`;

function queryOf(target: string): string {
  return target.slice(target.indexOf('?') + 1);
}

describe('the query of a fill request', () => {
  test('is parsed into a chunk and a range, by default the whole chunk', () => {
    const { chunk, range } = parseFillQuery(GOOD, LIMITS);
    expect(chunk.object).toEqual({ originId: 'models-eu', bucket: 'b', key: 'a/b', etag: 'e', sizeBytes: 12 * MIB });
    expect(chunk).toMatchObject({ index: 1, chunkSizeBytes: 8 * MIB, lengthBytes: 4 * MIB });
    expect(range).toEqual({ from: 0, to: 4 * MIB });
  });

  test('is parsed back to what was formatted, for any names', () => {
    const name = fc.string({ unit: codePoint, minLength: 1, maxLength: 60 });
    const awkward = fc.constantFrom(
      'a b',
      'a+b',
      'a%2Fb',
      '//x',
      '../x',
      'é',
      '&index=9',
      '#',
      '(1)',
      "'",
      '*',
      '~',
      '😀',
    );
    const arbitrary = fc.record({
      key: fc.oneof(name, awkward),
      etag: name,
      bucket: fc.oneof(name, awkward),
      chunkSizeBytes: fc.integer({ min: MIB, max: 128 * MIB }),
      sizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      index: fc.double({ min: 0, max: 0.999, noNaN: true }),
      cut: fc.option(
        fc.tuple(fc.double({ min: 0, max: 0.5, noNaN: true }), fc.double({ min: 0.51, max: 1, noNaN: true })),
      ),
    });
    fc.assert(
      fc.property(arbitrary, ({ key, etag, bucket, chunkSizeBytes, sizeBytes, index, cut }) => {
        const object = { originId: 'o.1', bucket, key, etag, sizeBytes };
        const chunk = chunkAt(object, chunkSizeBytes, Math.floor(index * Math.ceil(sizeBytes / chunkSizeBytes)));
        const [from, to] = cut ?? [0, 1];
        const range = { from: Math.floor(from * chunk.lengthBytes), to: Math.ceil(to * chunk.lengthBytes) };
        const target = formatFillTarget({ chunk, range });
        expect(target).toMatch(/^\/internal\/fill\?[\x21-\x7e]+$/);
        expect(parseFillQuery(queryOf(target), LIMITS)).toEqual({ chunk, range });
      }),
    );
  });

  const without = (name: string): string =>
    GOOD.split('&')
      .filter((part) => !part.startsWith(`${name}=`))
      .join('&');
  const changed = (name: string, value: string): string => `${without(name)}&${name}=${value}`;

  const cases: readonly (readonly string[])[] = [
    ['', 'an empty query'],
    [`${GOOD}&x=1`, 'an unknown parameter'],
    [`${GOOD}&`, 'an empty parameter'],
    [`${GOOD}&index=1`, 'a duplicate parameter'],
    ...['origin_id', 'bucket', 'key', 'etag', 'chunk_size', 'index', 'object_size'].flatMap((name) => [
      [without(name), `no ${name}`],
      [changed(name, ''), `an empty ${name}`],
    ]),
    [changed('chunk_size', '0'), 'a chunk size of zero'],
    [changed('chunk_size', String(MIB - 1)), 'a chunk size below 1 MiB'],
    [changed('chunk_size', String(128 * MIB + 1)), 'a chunk size above the limit'],
    [changed('index', '2'), 'an index after the end of the object'],
    [changed('index', '-1'), 'a negative index'],
    [changed('index', '01'), 'a number with a leading zero'],
    [changed('index', '1.0'), 'a number with a decimal point'],
    [changed('index', '1e0'), 'a number with an exponent'],
    [changed('index', '+1'), 'a number with a sign'],
    [changed('index', '%201'), 'a number with a space'],
    [changed('index', '0x1'), 'a hexadecimal number'],
    [changed('object_size', '9007199254740993'), 'a size beyond the safe integers'],
    [changed('object_size', '0'), 'an empty object'],
    [changed('origin_id', '..'), 'an origin id of two dots'],
    [changed('origin_id', 'a..b'), 'an origin id with two dots in a row'],
    [changed('origin_id', 'a%2Fb'), 'an origin id with a slash'],
    [changed('origin_id', 'a'.repeat(64)), 'a long origin id'],
    [changed('key', '%'), 'a malformed escape'],
    [changed('key', '%ff'), 'a key that is not UTF-8'],
    [changed('key', 'k'.repeat(2049)), 'a long key'],
    [`${GOOD}&from=0`, 'a start without an end'],
    [`${GOOD}&to=1`, 'an end without a start'],
    [`${GOOD}&from=5&to=5`, 'an empty range'],
    [`${GOOD}&from=6&to=5`, 'a reversed range'],
    [`${GOOD}&from=0&to=${4 * MIB + 1}`, 'a range after the end of the last, shorter chunk'],
  ];
  test.for(cases.map(([query = '', what]) => ({ query, what })))('$what is rejected', ({ query }) => {
    expect(() => parseFillQuery(query, LIMITS)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });
});

describe('the terms of a fill request', () => {
  const terms: FillTerms = {
    rank: 2,
    epoch: '0123456789abcdef',
    demand: 'started',
    deadlineMs: 20_000,
    reason: 'not_stored',
  };

  test('are parsed back to what was formatted', () => {
    const arbitrary = fc.record<FillTerms>({
      rank: fc.constantFrom(1, 2),
      epoch: fc.stringMatching(/^[0-9a-f]{16}$/),
      demand: fc.constantFrom('started', 'new'),
      deadlineMs: fc.integer({ min: 1, max: 600_000 }),
      reason: fc.constantFrom('miss', 'not_stored', 'corrupt', 'store_unavailable', 'join'),
      sparse: fc.constantFrom(true, undefined),
    });
    fc.assert(
      fc.property(arbitrary, (any) => {
        expect(parseFillTerms(formatFillTerms(any))).toEqual(any);
      }),
    );
  });

  test.for([
    { 'x-orca-internal': undefined },
    { 'x-orca-internal': '0' },
    { 'x-orca-rank': '3' },
    { 'x-orca-rank': '1, 1' },
    { 'x-orca-class': 'urgent' },
    { 'x-orca-reason': '' },
    { 'x-orca-reason': 'corrupt, join' },
    { 'x-orca-reason': ['corrupt', 'join'] },
    { 'x-orca-reason': 'Corrupt' },
    { 'x-orca-reason': 'a'.repeat(33) },
    { 'x-orca-sparse': '0' },
    { 'x-orca-epoch': 'x' },
    { 'x-orca-epoch': undefined },
    { 'x-orca-deadline-ms': '0' },
    { 'x-orca-deadline-ms': '-1' },
    { 'x-orca-deadline-ms': '999999999' },
    { 'x-orca-deadline-ms': undefined },
  ])('are rejected with %j', (change) => {
    const headers = { ...formatFillTerms(terms), ...change };
    expect(() => parseFillTerms(headers)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  test.for(['miss', 'rebalanced', 'removed_later'])('with the reason %s are those of a miss', (reason) => {
    const headers = { ...formatFillTerms(terms), 'x-orca-reason': reason };
    expect(parseFillTerms(headers)).toEqual({ ...terms, reason: 'miss' });
  });

  test.for(['2', undefined])('with protocol %s are rejected with not_coordinator', (protocol) => {
    const headers = { ...formatFillTerms(terms), 'x-orca-protocol': protocol };
    expect(() => parseFillTerms(headers)).toThrow(expect.objectContaining({ code: 'not_coordinator' }));
  });
});
