import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openKeyRing } from '#cache/core/s3/key-ring.ts';
import { signatureOf, type SignedRequest } from '#cache/core/s3/sigv4-claim.ts';
import { verifySignature } from '#cache/core/s3/sigv4-verify.ts';
import { createSigner, encodeKey } from '#cache/wire/s3/sigv4.ts';
import { codePoint } from '#test/support/fuzz.ts';

// The example of AWS: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const EXAMPLE = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const NOW_MS = Date.UTC(2013, 4, 24);
const ring = openKeyRing([{ label: 'a', ...EXAMPLE }]);

const getObject: SignedRequest = {
  method: 'GET',
  rawPath: '/test.txt',
  rawQuery: '',
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': '20130524T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  hasBody: false,
};
const presigned: SignedRequest = {
  method: 'GET',
  rawPath: '/test.txt',
  rawQuery:
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  headers: { host: 'examplebucket.s3.amazonaws.com' },
  hasBody: false,
};

function withHeaders(headers: Readonly<Record<string, string | undefined>>): SignedRequest {
  const all = Object.entries({ ...getObject.headers, ...headers }).filter(([, value]) => value !== undefined);
  return { ...getObject, headers: Object.fromEntries(all) };
}

function replaced(from: string | RegExp, to: string): SignedRequest {
  return withHeaders({ authorization: getObject.headers['authorization']?.replace(from, to) });
}

describe('a signature in headers', () => {
  test('is accepted for the example of AWS', () => {
    expect(verifySignature(getObject, ring, NOW_MS).label).toBe('a');
  });

  test('is accepted for a list with its query in any order', () => {
    const list = {
      ...getObject,
      rawPath: '/',
      rawQuery: 'prefix=J&max-keys=2',
      headers: {
        host: 'examplebucket.s3.amazonaws.com',
        'x-amz-content-sha256': EMPTY,
        'x-amz-date': '20130524T000000Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      },
    };
    expect(verifySignature(list, ring, NOW_MS).label).toBe('a');
  });

  test.for([
    ['another path', { ...getObject, rawPath: '/test2.txt' }, 'auth_mismatch'],
    ['another method', { ...getObject, method: 'HEAD' }, 'auth_mismatch'],
    ['another query', { ...getObject, rawQuery: 'acl' }, 'auth_mismatch'],
    ['another range', withHeaders({ range: 'bytes=0-8' }), 'auth_mismatch'],
    ['another host', withHeaders({ host: 'other' }), 'auth_mismatch'],
    ['a signature with a digit changed', replaced(/1$/, '2'), 'auth_mismatch'],
    ['no signature', replaced(/,Signature=.*/, ''), 'auth_malformed'],
    ['a signature that is not hexadecimal', replaced(/Signature=.*/, 'Signature=xyz'), 'auth_malformed'],
    ['no credential', replaced(/Credential=[^,]*,/, ''), 'auth_malformed'],
    ['a truncated credential', replaced('/aws4_request', ''), 'auth_malformed'],
    ['another service', replaced('/s3/', '/ec2/'), 'auth_malformed'],
    ['another terminator', replaced('aws4_request', 'aws3_request'), 'auth_malformed'],
    ['a scope of another day', replaced('/20130524/', '/20130525/'), 'auth_malformed'],
    ['a scope without a day', replaced('/20130524/', '/today/'), 'auth_malformed'],
    ['an unknown key', replaced('AKIAIOSFODNN7EXAMPLE', 'AKIANOBODY'), 'auth_unknown_key'],
    [
      'SigV2',
      withHeaders({ authorization: 'AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=' }),
      'auth_unsupported',
    ],
    ['another scheme', withHeaders({ authorization: 'Basic abc' }), 'invalid_argument'],
    ['no date', withHeaders({ 'x-amz-date': undefined }), 'forbidden'],
    ['a malformed date', withHeaders({ 'x-amz-date': '20130524' }), 'forbidden'],
    ['no payload hash', withHeaders({ 'x-amz-content-sha256': undefined }), 'bad_request'],
    ['a malformed payload hash', withHeaders({ 'x-amz-content-sha256': 'abc' }), 'invalid_argument'],
    ['the hash of a payload', withHeaders({ 'x-amz-content-sha256': 'a'.repeat(64) }), 'auth_payload_mismatch'],
    ['an unsigned x-amz-* header', withHeaders({ 'x-amz-tagging': 'a' }), 'forbidden'],
    ['an unknown session token', withHeaders({ 'x-amz-security-token': 't' }), 'auth_token'],
  ] as const)('with %s is rejected', ([, request, code]) => {
    expect(() => verifySignature(request, ring, NOW_MS)).toThrow(expect.objectContaining({ code }));
  });

  test('is valid for 15 minutes before and after its date', () => {
    for (const off of [-899_000, 899_000]) expect(verifySignature(getObject, ring, NOW_MS + off).label).toBe('a');
    for (const off of [-901_000, 901_000])
      expect(() => verifySignature(getObject, ring, NOW_MS + off)).toThrow(
        expect.objectContaining({
          code: 'auth_skewed',
          fields: expect.objectContaining({ RequestTime: '2013-05-24T00:00:00Z' }) as unknown,
        }),
      );
  });
});

test('an Authorization header of many colons does not cause backtracking', () => {
  const hostile = withHeaders({ authorization: `AWS ${':'.repeat(1_000_000)} x` });
  // Backtracking over a million colons would take half an hour, and the test would time out.
  expect(() => verifySignature(hostile, ring, NOW_MS)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

describe('a presigned URL', () => {
  test('is accepted for the example of AWS until it expires', () => {
    expect(verifySignature(presigned, ring, NOW_MS).label).toBe('a');
    expect(verifySignature(presigned, ring, NOW_MS + 86_400_000).label).toBe('a');
    expect(() => verifySignature(presigned, ring, NOW_MS + 86_400_001)).toThrow('Request has expired');
    expect(() => verifySignature(presigned, ring, NOW_MS - 900_001)).toThrow('not yet valid');
  });

  test.for([
    ['X-Amz-Expires=86400', 'X-Amz-Expires=0', 'auth_query_malformed'],
    ['X-Amz-Expires=86400', 'X-Amz-Expires=-1', 'auth_query_malformed'],
    ['X-Amz-Expires=86400', 'X-Amz-Expires=604801', 'auth_query_malformed'],
    ['X-Amz-Expires=86400', 'X-Amz-Expires=1h', 'auth_query_malformed'],
    ['X-Amz-Expires=86400', 'X-Amz-Expires=86399', 'auth_mismatch'],
    ['&X-Amz-Date=20130524T000000Z', '', 'auth_query_malformed'],
    ['HMAC-SHA256', 'HMAC-SHA1', 'auth_query_malformed'],
    ['%2Faws4_request', '', 'auth_query_malformed'],
    ['SignedHeaders=host', 'SignedHeaders=range', 'forbidden'],
    ['&X-Amz-Signature', '&partNumber=2&X-Amz-Signature', 'auth_mismatch'],
  ] as const)('with %s replaced by %j is rejected', ([from, to, code]) => {
    const rawQuery = presigned.rawQuery.replace(from, to);
    expect(() => verifySignature({ ...presigned, rawQuery }, ring, NOW_MS)).toThrow(expect.objectContaining({ code }));
  });
});

test('the session token must be that of the key', () => {
  const keys = openKeyRing([{ label: 'a', ...EXAMPLE, sessionToken: 'right' }]);
  const { authorization: _old, ...headers } = getObject.headers as Record<string, string>;
  const sign = (sessionToken?: string) => ({
    ...getObject,
    headers: createSigner('us-east-1').sign({
      method: 'GET',
      path: getObject.rawPath,
      headers: { host: headers['host'] ?? '' },
      credentials: { ...EXAMPLE, sessionToken },
      nowMs: NOW_MS,
    }),
  });
  expect(verifySignature(sign('right'), keys, NOW_MS).label).toBe('a');
  for (const token of [undefined, 'wrong'])
    expect(() => verifySignature(sign(token), keys, NOW_MS)).toThrow(expect.objectContaining({ code: 'auth_token' }));
});

test('signatureOf finds the signature in headers or query', () => {
  expect(signatureOf(getObject)).toBe('header');
  expect(signatureOf(presigned)).toBe('query');
  expect(signatureOf({ ...getObject, headers: {}, rawQuery: 'x=X-Amz-Signature' })).toBeUndefined();
});

test('accepts what the signer of the wire layer signs, and nothing else', () => {
  const text = fc.string({ unit: codePoint, maxLength: 12 }).filter((value) => value.isWellFormed());
  fc.assert(
    fc.property(
      text,
      fc.dictionary(
        text.filter((name) => name !== ''),
        text,
        { maxKeys: 3 },
      ),
      fc.boolean(),
      (key, query, lax) => {
        const path = `/b/${encodeKey(key)}`;
        const pairs = Object.entries(query).map(
          ([name, value]) => [encodeKey(name).replaceAll('/', '%2F'), encodeKey(value).replaceAll('/', '%2F')] as const,
        );
        const headers = createSigner('eu').sign({
          method: 'GET',
          path,
          query: pairs,
          headers: { host: 'h' },
          credentials: EXAMPLE,
          nowMs: NOW_MS,
        });
        // Clients may send characters such as parentheses unencoded, although they sign them encoded.
        const rawPath = lax ? path.replaceAll('%28', '(').replaceAll('%21', '!') : path;
        const request = {
          method: 'GET',
          rawPath,
          rawQuery: pairs.map(([name, value]) => `${name}=${value}`).join('&'),
          headers,
          hasBody: false,
        };
        expect(verifySignature(request, ring, NOW_MS).label).toBe('a');
        expect(() => verifySignature({ ...request, rawPath: `${rawPath}x` }, ring, NOW_MS)).toThrow('does not match');
      },
    ),
    { numRuns: 500 },
  );
});

test('any input is rejected with one of the expected codes', () => {
  const codes = new Set([
    'auth_malformed',
    'auth_query_malformed',
    'auth_unsupported',
    'auth_unknown_key',
    'auth_mismatch',
    'auth_skewed',
    'auth_token',
    'auth_payload_mismatch',
    'invalid_argument',
    'bad_request',
    'forbidden',
  ]);
  const word = fc.constantFrom(
    'AWS4-HMAC-SHA256',
    'Credential=',
    'AKIAIOSFODNN7EXAMPLE',
    '/',
    '20130524',
    's3',
    'aws4_request',
    ',',
    ';',
    'SignedHeaders=',
    'host',
    'Signature=',
    'f'.repeat(64),
    '=',
    '%2F',
    '%',
    ' ',
    'é',
  );
  const soup = fc.array(word, { maxLength: 14 }).map((words) => words.join(''));
  fc.assert(
    fc.property(soup, soup, fc.boolean(), (one, two, inQuery) => {
      const request = inQuery
        ? {
            ...presigned,
            rawQuery: presigned.rawQuery
              .replace(/X-Amz-Credential=[^&]*/, `X-Amz-Credential=${encodeURIComponent(one)}`)
              .replace(/X-Amz-Date=[^&]*/, `X-Amz-Date=${encodeURIComponent(two)}`),
          }
        : withHeaders({ authorization: one, 'x-amz-date': two });
      try {
        verifySignature(request, ring, NOW_MS);
      } catch (error) {
        expect(codes).toContain((error as { code?: string }).code);
      }
    }),
    { numRuns: 5_000 },
  );
});
