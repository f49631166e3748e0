import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { assert, asyncProperty, constantFrom, dictionary, option, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSigner, encodeKey } from '#cache/wire/s3/sigv4.ts';
import { codePoint } from '#test/support/fuzz.ts';

/** Keys and times of the examples in AWS's description of Signature Version 4 for S3. */
const EXAMPLE = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const EXAMPLE_MS = Date.UTC(2013, 4, 24);
const EMPTY_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const host = 'examplebucket.s3.amazonaws.com';

describe("AWS's published examples", () => {
  const signer = createSigner('us-east-1');
  const signatureOf = (headers: Record<string, string>): string =>
    headers['authorization']?.split('Signature=')[1] ?? '';

  test('GET Object with a range', () => {
    const signed = signer.sign({
      method: 'GET',
      path: '/test.txt',
      headers: { host, range: 'bytes=0-9' },
      credentials: EXAMPLE,
      nowMs: EXAMPLE_MS,
      payloadHash: EMPTY_HASH,
    });
    expect(signed).toEqual({
      host,
      range: 'bytes=0-9',
      'x-amz-content-sha256': EMPTY_HASH,
      'x-amz-date': '20130524T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    });
  });

  test('PUT Object with a key that needs encoding', () => {
    const body = createHash('sha256').update('Welcome to Amazon S3.').digest('hex');
    const headers = { host, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' };
    const signed = signer.sign({
      method: 'PUT',
      path: `/${encodeKey('test$file.text')}`,
      headers,
      credentials: EXAMPLE,
      nowMs: EXAMPLE_MS,
      payloadHash: body,
    });
    expect(signatureOf(signed)).toBe('98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd');
  });

  test('GET Bucket Lifecycle, a query without a value', () => {
    const signed = signer.sign({
      method: 'GET',
      path: '/',
      query: [['lifecycle', '']],
      headers: { host },
      credentials: EXAMPLE,
      nowMs: EXAMPLE_MS,
      payloadHash: EMPTY_HASH,
    });
    expect(signatureOf(signed)).toBe('fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543');
  });

  test('GET Bucket (List Objects), a sorted query', () => {
    const query = [
      ['prefix', 'J'],
      ['max-keys', '2'],
    ] as const;
    const signed = signer.sign({
      method: 'GET',
      path: '/',
      query,
      headers: { host },
      credentials: EXAMPLE,
      nowMs: EXAMPLE_MS,
      payloadHash: EMPTY_HASH,
    });
    expect(signatureOf(signed)).toBe('34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7');
  });
});

class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac('sha256', typeof secret === 'string' ? secret : Buffer.from(secret as Uint8Array));
  }
  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

test('arbitrary keys and metadata are signed as by the AWS SDK', async () => {
  const key = string({ unit: codePoint, minLength: 1, maxLength: 40 });
  const value = string({ unit: constantFrom(...'abcXYZ019 -_/=+.:"~'.split('')), maxLength: 20 });
  const name = string({ unit: constantFrom(...'abcdefghijklmnopqrstuvwxyz-'.split('')), minLength: 1, maxLength: 10 });
  await assert(
    asyncProperty(
      key,
      dictionary(name, value, { maxKeys: 4 }),
      option(string({ minLength: 1, maxLength: 10, unit: constantFrom(...'abc/+='.split('')) })),
      async (text, meta, token) => {
        const nowMs = Date.UTC(2026, 10, 21, 1, 2, 3);
        const credentials = {
          accessKeyId: 'AKID',
          secretAccessKey: 'secret',
          ...(token !== null && { sessionToken: token }),
        };
        const headers = {
          host: 'store.example:9000',
          range: 'bytes=5-9',
          ...Object.fromEntries(Object.entries(meta).map(([at, entry]) => [`x-amz-meta-${at}`, entry])),
        };
        const path = `/bucket/${encodeKey(text)}`;
        const ours = createSigner('eu-west-3').sign({ method: 'GET', path, headers, credentials, nowMs });

        const theirs = new SignatureV4({
          region: 'eu-west-3',
          service: 's3',
          credentials,
          sha256: Sha256,
          uriEscapePath: false,
        });
        const signed = await theirs.sign(
          {
            method: 'GET',
            protocol: 'http:',
            hostname: 'store.example',
            port: 9000,
            path,
            query: {},
            headers: { ...headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
          },
          { signingDate: new Date(nowMs) },
        );
        expect(ours['authorization']).toBe(signed.headers['authorization']);
      },
    ),
    { numRuns: 200 },
  );
});

describe('an encoded key', () => {
  test.for([
    ['plain/key.txt', 'plain/key.txt'],
    ['with space', 'with%20space'],
    ['a+b', 'a%2Bb'],
    ['100%', '100%25'],
    ['already%20encoded', 'already%2520encoded'],
    ["(paren)'!*", '%28paren%29%27%21%2A'],
    ['a//b', 'a//b'],
    ['../up/./here', '../up/./here'],
    ['é', '%C3%A9'],
    ['🐋', '%F0%9F%90%8B'],
    ['~-_.', '~-_.'],
    ['a?b#c&d=e', 'a%3Fb%23c%26d%3De'],
    ['\n\u0000', '%0A%00'],
  ] as const)('%j is %s', ([key, wire]) => {
    expect(encodeKey(key)).toBe(wire);
  });

  test('decodes to the key, and contains only visible ASCII', () => {
    assert(
      property(string({ unit: codePoint, maxLength: 30 }), (key) => {
        const wire = encodeKey(key);
        expect(decodeURIComponent(wire)).toBe(key);
        expect(wire).toMatch(/^[\x21-\x7e]*$/);
      }),
    );
  });

  test('a lone surrogate is refused', () => {
    expect(() => encodeKey('\ud800')).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });
});

test('the signing key depends on the day, the region and the secret', () => {
  const signer = createSigner('us-east-1');
  const sign = (nowMs: number, secretAccessKey: string, own = signer): string | undefined =>
    own.sign({
      method: 'GET',
      path: '/',
      headers: { host: 'h' },
      credentials: { accessKeyId: 'A', secretAccessKey },
      nowMs,
    })['authorization'];
  const first = sign(EXAMPLE_MS, 'one');
  expect(sign(EXAMPLE_MS, 'two')).not.toBe(first);
  expect(sign(EXAMPLE_MS + 86_400_000, 'one')).not.toBe(first);
  expect(sign(EXAMPLE_MS, 'one')).toBe(first);
  expect(sign(EXAMPLE_MS, 'one', createSigner('us-west-2'))).not.toBe(first);
});
