/** Fuzzes the parsers of the request line and of the request headers. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { staysUnder } from '#cache/core/s3/path-traversal.ts';
import { encodePath, encodeRfc3986 } from '#cache/core/percent.ts';
import { evaluatePreconditions, rangeApplies } from '#cache/core/preconditions.ts';
import { contentRange, resolveRange } from '#cache/core/range.ts';
import { responseOverrides } from '#cache/core/s3/response-overrides.ts';
import { authorityOf, bucketOfHost, parseRequestTarget } from '#cache/core/s3/request-target.ts';
import { damaged, nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';

const target = nasty(
  '/',
  '//',
  '..',
  '%2e',
  '%2F',
  '%',
  '%25',
  '%00',
  '?',
  '&',
  '=',
  '+',
  '#',
  '\\',
  'http://',
  'a',
  '@',
  ':',
  '%C3',
)
  // Latin-1, as Node passes headers.
  .map((text) => Buffer.from(text, 'latin1').toString('latin1'));

describe('a request target', () => {
  test('is parsed into bucket, key and query, or rejected', () => {
    fc.assert(
      fc.property(target, fc.option(fc.constant('host-bucket'), { nil: undefined }), (raw, hostBucket) => {
        const outcome = outcomeOf(() => parseRequestTarget(raw, hostBucket), 'invalid_uri');
        if ('error' in outcome) return;
        const { bucket, key, query, rawPath, rawQuery } = outcome.value;
        if (hostBucket !== undefined) expect(bucket).toBe(hostBucket);
        for (const text of [bucket, key, ...query.keys(), ...query.values()]) expect(text.isWellFormed()).toBe(true);
        // A signature covers the raw path and query.
        if (raw.startsWith('/')) expect(raw).toBe(raw.includes('?') ? `${rawPath}?${rawQuery}` : rawPath);
        expect(rawPath).not.toContain('?');
      }),
      { numRuns: RUNS },
    );
  });

  test('round-trips bucket and key, and keeps the path that the signer encoded', () => {
    const text = nasty('/', '..', '%2e', '%', '+', '?', '&', 'a').filter((key) => key.isWellFormed());
    const name = text.filter((bucket) => bucket !== '' && !bucket.includes('/'));
    fc.assert(
      fc.property(name, text, text, (bucket, key, value) => {
        const raw = `/${encodeRfc3986(bucket)}/${encodePath(key)}?v=${encodeRfc3986(value)}`;
        const parsed = parseRequestTarget(raw);
        expect([parsed.bucket, parsed.key, parsed.query.get('v')]).toEqual([bucket, key, value]);
        expect(encodePath(decodeURIComponent(parsed.rawPath))).toBe(parsed.rawPath);
      }),
      { numRuns: RUNS },
    );
  });

  test('never escapes its bucket at an origin that resolves dot segments', () => {
    const key = fc
      .array(fc.constantFrom('..', '.', '', 'a', '%2e%2e', '..%2f', 'far-private', '%2e.'), { maxLength: 8 })
      .map((segments) => segments.join('/'));
    fc.assert(
      fc.property(key, (path) => {
        const outcome = outcomeOf(() => parseRequestTarget(`/b/${path}`), 'bad_request');
        if ('error' in outcome || !staysUnder('', outcome.value.key)) return;
        // WHATWG's URL resolves dot segments, including `%2e`.
        const { pathname } = new URL(`http://origin/far/${encodePath(outcome.value.key)}`);
        expect(`${pathname}/`.startsWith('/far/')).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test('has a host that contains at most one bucket', () => {
    const host = nasty('.', 's3.cache.test', 'models', ':', '443', '[::1]', '@', '/', 'S3.CACHE.TEST', 'cache.test');
    fc.assert(
      fc.property(host, (host) => {
        const bucket = bucketOfHost(host, ['s3.cache.test', 'cache.test']);
        if (bucket !== undefined) expect(host.toLowerCase()).toContain(`${bucket}.`);
        const authority = authorityOf(`http://${host}/key`);
        expect(authority).not.toMatch(/[/?]/);
      }),
      { numRuns: RUNS / 2 },
    );
  });
});

const anyRange = fc.oneof(
  nasty('bytes', '=', '-', ',', '0', '1', '99', '18446744073709551616', ' ', 'e9', '+', '.', '0x', 'NaN', 'Infinity'),
  fc.tuple(fc.nat(250), fc.nat(250)).map(([from, to]) => `bytes=${from}-${to}`),
  fc.bigInt({ min: 0n, max: 1n << 80n }).map((from) => `bytes=${from}-`),
  fc.bigInt({ min: 0n, max: 1n << 80n }).map((length) => `bytes=-${length}`),
  fc.tuple(fc.nat(250), fc.nat(250)).chain(([from, to]) => damaged(`bytes=${from}-${to}`)),
);

test('a Range is ignored, lies inside the object, or is rejected; its offsets are always safe integers', () => {
  fc.assert(
    fc.property(anyRange, fc.oneof(fc.nat(200), fc.maxSafeNat()), (header, sizeBytes) => {
      const result = resolveRange(header, sizeBytes);
      if (result.kind !== 'part') return;
      const { from, to } = result.range;
      expect(Number.isSafeInteger(from) && Number.isSafeInteger(to)).toBe(true);
      expect(from >= 0 && from < to && to <= sizeBytes).toBe(true);
      expect(contentRange(result.range, sizeBytes)).toMatch(/^bytes \d+-\d+\/\d+$/);
    }),
    { numRuns: RUNS },
  );
});

test('conditions with arbitrary values are evaluated, and entity tags match as in RFC 9110', () => {
  const header = fc.option(
    nasty('"', 'W/', '*', ',', 'etag', '"etag"', 'Thu, 01 Jan 2026 00:00:00 GMT', 'Fri, 02 Jan 2026 00:00:00 GMT', ' '),
    { nil: undefined },
  );
  const object = { etag: 'etag', lastModifiedMs: Date.UTC(2026, 0, 1, 12) };
  fc.assert(
    fc.property(
      header,
      header,
      header,
      header,
      header,
      (ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange) => {
        const conditions = { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange };
        const { kind } = evaluatePreconditions(conditions, object);
        const names = (text: string, tag: RegExp) => text.split(',').some((entry) => tag.test(entry.trim()));
        // RFC 9110 §13.1.1: If-Match uses the strong comparison, so a weak tag never matches.
        if (ifMatch !== undefined) expect(kind === 'failed').toBe(!names(ifMatch, /^(?:\*|"etag"|etag)$/));
        if (ifNoneMatch !== undefined && kind !== 'failed')
          expect(kind === 'not_modified').toBe(names(ifNoneMatch, /^(?:\*|(?:W\/)?"etag"|(?:W\/)?etag)$/));
        expect(typeof rangeApplies(conditions, object)).toBe('boolean');
      },
    ),
    { numRuns: RUNS },
  );
});

test('response-header overrides are valid HTTP headers, and only the six that S3 allows', () => {
  const names = [
    'content-type',
    'content-language',
    'expires',
    'cache-control',
    'content-disposition',
    'content-encoding',
  ];
  const name = fc.constantFrom(
    ...names.map((each) => `response-${each}`),
    'response-set-cookie',
    'response-__proto__',
    'x',
  );
  const query = fc.dictionary(name, nasty('\r\n', 'text/html', '\x7f', ':', ' '), { maxKeys: 4 });
  fc.assert(
    fc.property(query, fc.boolean(), (query, signed) => {
      const outcome = outcomeOf(
        () => responseOverrides(new Map(Object.entries(query)), signed),
        'invalid_argument',
        'bad_request',
      );
      if ('error' in outcome) return;
      for (const [header, value] of Object.entries(outcome.value)) {
        expect(names).toContain(header);
        expect(() => new Headers([[header, value]])).not.toThrow();
        expect(value).not.toMatch(/[\r\n\0]/);
      }
    }),
    { numRuns: RUNS / 2 },
  );
});
