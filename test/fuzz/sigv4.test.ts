/** Fuzzes signatures: of unknown keys, malformed ones, and valid ones with one change. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openKeyRing } from '#cache/core/s3/key-ring.ts';
import type { SignedRequest } from '#cache/core/s3/sigv4-claim.ts';
import { verifySignature } from '#cache/core/s3/sigv4-verify.ts';
import { createSigner, encodeKey } from '#cache/wire/s3/sigv4.ts';
import { damaged, inheritedName, nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';
import { presign } from '#test/support/presign.ts';

const KEY = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'a-secret-that-nobody-guesses' };
const ring = openKeyRing([{ label: 'us', ...KEY }]);
const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const HOST = 'cache.test';

const verify = (request: SignedRequest) => outcomeOf(() => verifySignature(request, ring, NOW_MS));

function signed(path: string): SignedRequest & { headers: Record<string, string> } {
  const headers = createSigner('us-east-1').sign({
    method: 'GET',
    path,
    headers: { host: HOST },
    credentials: KEY,
    nowMs: NOW_MS,
  });
  return { method: 'GET', rawPath: path, rawQuery: '', headers, hasBody: false };
}

function presigned(path: string): SignedRequest {
  const [rawPath = '', rawQuery = ''] = presign({ ...KEY, host: HOST, path, atMs: NOW_MS }).split('?', 2);
  return { method: 'GET', rawPath, rawQuery, headers: { host: HOST }, hasBody: false };
}

const path = nasty('/', '..', '%', '+', ' ', 'a', '?')
  .filter((key) => key.isWellFormed())
  .map((key) => `/b/${encodeKey(key)}`);

test('a valid signature is accepted, in headers and in the query', () => {
  fc.assert(
    fc.property(path, (path) => {
      expect(verify(signed(path))).toMatchObject({ value: { label: 'us' } });
      expect(verify(presigned(path))).toMatchObject({ value: { label: 'us' } });
    }),
    { numRuns: RUNS / 2 },
  );
});

test('arbitrary signature headers are rejected with one of our errors', () => {
  const words = nasty(
    'AWS4-HMAC-SHA256 ',
    'Credential=AKIAEXAMPLE/20260102/us-east-1/s3/aws4_request',
    'SignedHeaders=host;x-amz-date;x-amz-content-sha256',
    `Signature=${'a'.repeat(64)}`,
    ',',
    '/',
    '=',
    ';',
    'AWS a:b',
    'Bearer ',
  );
  const value = fc.option(nasty('20260102T030405Z', 'UNSIGNED-PAYLOAD', 'STREAMING-', '99999999T999999Z'), {
    nil: undefined,
  });
  fc.assert(
    fc.property(words, value, value, value, (authorization, date, hash, token) => {
      const headers = {
        host: HOST,
        authorization,
        ...(date !== undefined && { 'x-amz-date': date }),
        ...(hash !== undefined && { 'x-amz-content-sha256': hash }),
        ...(token !== undefined && { 'x-amz-security-token': token }),
      };
      const outcome = verify({ method: 'GET', rawPath: '/b/k', rawQuery: '', headers, hasBody: false });
      expect(outcome).toHaveProperty('error');
      if ('error' in outcome)
        expect(JSON.stringify([outcome.error.message, outcome.error.fields])).not.toContain(KEY.secretAccessKey);
    }),
    { numRuns: RUNS },
  );
});

test('an arbitrary signature query is rejected with one of our errors', () => {
  const part = nasty(
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'X-Amz-Credential=AKIAEXAMPLE%2F20260102%2Fus-east-1%2Fs3%2Faws4_request',
    'X-Amz-Date=20260102T030405Z',
    'X-Amz-Expires=60',
    'X-Amz-Expires=-1',
    'X-Amz-SignedHeaders=host',
    `X-Amz-Signature=${'0'.repeat(64)}`,
    '&',
    '&',
    '&',
    '%',
    '=',
  );
  fc.assert(
    fc.property(part, (query) => {
      const rawQuery = `X-Amz-Signature=&${query}`;
      expect(
        verify({ method: 'GET', rawPath: '/b/k', rawQuery, headers: { host: HOST }, hasBody: false }),
      ).toHaveProperty('error');
    }),
    { numRuns: RUNS },
  );
});

test('signed headers that the request lacks are rejected, also under names that every object inherits', () => {
  const good = signed('/b/key');
  const goodUrl = presigned('/b/key');
  const names = fc.array(fc.oneof(inheritedName, nasty('host', 'x-amz-date')), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(names, fc.boolean(), (names, inQuery) => {
      const extra = names.map((name) => name.replaceAll(/[;,\r\n\ud800-\udfff]/g, '')).join(';');
      const authorization = (good.headers['authorization'] ?? '').replace('SignedHeaders=', `SignedHeaders=${extra};`);
      const rawQuery = goodUrl.rawQuery.replace('SignedHeaders=', `SignedHeaders=${encodeURIComponent(`${extra};`)}`);
      const outcome = verify(
        inQuery ? { ...goodUrl, rawQuery } : { ...good, headers: { ...good.headers, authorization } },
      );
      expect(outcome).toHaveProperty('error');
    }),
    { numRuns: RUNS },
  );
});

test('a signed request with one change is rejected, unless its meaning is the same', () => {
  const good = signed('/b/key');
  const change = fc.oneof(
    ...Object.keys(good.headers).map((name) =>
      damaged(good.headers[name] ?? '').map((value) => ({ ...good, headers: { ...good.headers, [name]: value } })),
    ),
    damaged(good.rawPath).map((rawPath) => ({ ...good, rawPath })),
    damaged('x=1').map((rawQuery) => ({ ...good, rawQuery })),
    fc.constantFrom('HEAD', 'PUT', 'get').map((method) => ({ ...good, method })),
  );
  fc.assert(
    fc.property(change, (changed) => {
      // Only paths that can be decoded reach the verification.
      if (!decodes(changed.rawPath)) return;
      const outcome = verify(changed);
      if ('error' in outcome) return;
      // Surrounding and repeated spaces, and the encoding of the path, are not signed.
      expect(decodeURIComponent(changed.rawPath)).toBe(decodeURIComponent(good.rawPath));
      expect([changed.method, changed.rawQuery.replaceAll('&', '')]).toEqual([good.method, '']);
      for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256'])
        expect((changed.headers[name] ?? '').trim()).toBe(good.headers[name]);
    }),
    { numRuns: RUNS },
  );
});

test('a presigned URL with one change is rejected, unless its meaning is the same', () => {
  const good = presigned('/b/key');
  const pairs = (query: string) =>
    [...new URLSearchParams(query)]
      .filter(([name]) => name !== 'X-Amz-Signature')
      .map(String)
      .toSorted();
  fc.assert(
    fc.property(damaged(good.rawQuery), (rawQuery) => {
      const outcome = verify({ ...good, rawQuery });
      if ('value' in outcome) expect(pairs(rawQuery)).toEqual(pairs(good.rawQuery));
    }),
    { numRuns: RUNS },
  );
});

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}
