import { describe, expect, test } from 'vitest';
import { OrcaError, type ErrorCode } from '#cache/core/errors.ts';
import { formatNotCoordinator, parseNotCoordinator, parseRefusal, refusalOf } from '#cache/core/peer/refusal.ts';

describe('a refusal', () => {
  test.for([
    ['object_changed', 412],
    ['not_found', 404],
    ['bucket_not_found', 404],
    ['access_denied', 502],
    ['origin_denied', 502],
    ['origin_missing_etag', 502],
    ['origin_unsupported', 502],
    ['origin_wrong_region', 502],
    ['object_archived', 502],
    ['object_encrypted', 502],
    ['origin_unavailable', 502],
    ['origin_throttled', 503],
    ['overloaded', 503],
  ] as const)('%s is sent with status %i and parsed as the same code', ([code, status]) => {
    const refusal = refusalOf(new OrcaError(code, 'why', { retryAfterMs: 1500 }));
    expect(refusal).toMatchObject({ status, retryAfterSeconds: 2 });
    const back = parseRefusal('peer x', refusal?.status ?? 0, refusal?.body ?? '', String(refusal?.retryAfterSeconds));
    expect(back).toMatchObject({ code, message: 'peer x: why', retryAfterMs: 2000 });
  });

  test('carries the region that the origin names', () => {
    const region = (name: string) => {
      const { body } = refusalOf(new OrcaError('origin_wrong_region', 'why', { fields: { Region: name } }))!;
      return parseRefusal('peer x', 502, body, undefined)?.fields;
    };
    expect(region('eu-west-1')).toEqual({ Region: 'eu-west-1' });
    expect(region('<b>')).toBeUndefined();
  });

  test('has Retry-After with every 503', () => {
    expect(refusalOf(new OrcaError('overloaded', ''))?.retryAfterSeconds).toBe(1);
    expect(refusalOf(new OrcaError('not_found', ''))?.retryAfterSeconds).toBeUndefined();
  });

  test('carries the headers of a delete marker, and no other headers', () => {
    const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'v1', 'set-cookie': 'a=b', allow: 'a\r\nb' };
    const refusal = refusalOf(new OrcaError('delete_marker', 'a delete marker', { headers }));
    const parsed = parseRefusal('peer', refusal!.status, refusal!.body, undefined);
    expect(parsed).toMatchObject({
      code: 'delete_marker',
      headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'v1' },
    });
    expect(Object.keys(parsed?.headers ?? {})).toHaveLength(2);
  });

  test('carries the age of a cached error', () => {
    const { status, body } = refusalOf(new OrcaError('not_found', 'no', { ageMs: 7_000 }))!;
    expect(parseRefusal('x', status, body, undefined)?.ageMs).toBe(7_000);
    const made = refusalOf(new OrcaError('not_found', 'no'))!;
    expect(parseRefusal('x', status, made.body, undefined)?.ageMs).toBeUndefined();
    for (const ageMs of [-1, '7', null])
      expect(parseRefusal('x', 404, JSON.stringify({ code: 'not_found', ageMs }), undefined)?.ageMs).toBeUndefined();
  });

  test.for<ErrorCode>(['internal', 'cancelled', 'store_unavailable', 'chunk_bad', 'peer_unavailable', 'bad_request'])(
    '%s is never sent or accepted',
    (code) => {
      expect(refusalOf(new OrcaError(code, ''))).toBeUndefined();
      for (const status of [400, 404, 412, 500, 502, 503])
        expect(parseRefusal('x', status, JSON.stringify({ code }), undefined)).toBeUndefined();
    },
  );

  test.for([
    [502, '<html>'],
    [502, ''],
    [502, 'null'],
    [502, '[]'],
    [502, '{"code":5}'],
    [502, '{"code":"toString"}'],
    [502, '{"code":"not_found"}'],
    [200, '{"code":"origin_unavailable"}'],
  ] as const)('%i with body %s is not a refusal', ([status, body]) => {
    expect(parseRefusal('x', status, body, undefined)).toBeUndefined();
  });

  test.for([
    ['3', 3000],
    ['999999', 600_000],
    ['soon', undefined],
    ['-1', undefined],
    [undefined, undefined],
  ] as const)('Retry-After %s is %s ms', ([header, retryAfterMs]) => {
    expect(parseRefusal('x', 503, '{"code":"overloaded"}', header)?.retryAfterMs).toBe(retryAfterMs);
  });
});

describe('a not_coordinator response', () => {
  test('names the owner and the epoch', () => {
    const answer = { owner: '10.0.0.1:8444', epoch: '0123456789abcdef' };
    expect(parseNotCoordinator(formatNotCoordinator(answer))).toEqual(answer);
  });

  test('may have no owner', () => {
    expect(parseNotCoordinator(formatNotCoordinator({ owner: undefined, epoch: 'e' }))).toEqual({
      owner: undefined,
      epoch: 'e',
    });
  });

  test.for(['', '{}', '{"reason":"other"}', 'null'])('is not parsed from %s', (body) => {
    expect(parseNotCoordinator(body)).toBeUndefined();
  });
});
