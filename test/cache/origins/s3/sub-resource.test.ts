import { describe, expect, test } from 'vitest';
import { OBJECT_SUB_RESOURCES } from '#cache/core/s3/sub-resource.ts';
import { subResourceAnswer, subResourceRequest } from '#cache/origins/s3/sub-resource.ts';

const TAGGING = OBJECT_SUB_RESOURCES['tagging']!;
const DOCUMENT = '<Tagging><TagSet></TagSet></Tagging>';

const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  subResourceAnswer({ status, body: Buffer.from(body), headers }, TAGGING, 'bucket/key');
const errorOf = (code: string): string => `<Error><Code>${code}</Code><Message>text</Message></Error>`;

test('the request names the sub-resource and the version', () => {
  expect(subResourceRequest('bucket', 'key', TAGGING, 'a b')).toMatchObject({
    method: 'GET',
    bucket: 'bucket',
    key: 'key',
    query: [
      ['tagging', ''],
      ['versionId', 'a%20b'],
    ],
  });
});

test('a document is passed on as it is', () => {
  expect(answer(200, DOCUMENT)).toEqual({ document: DOCUMENT });
});

test.for(['', 'bytes of the object', '<ListBucketResult></ListBucketResult>'])(
  'another answer, such as the object itself (%s), is never passed on',
  (body) => {
    expect(() => answer(200, body)).toThrow(expect.objectContaining({ code: 'not_implemented' }));
  },
);

test('a document that is cut at the limit is refused', () => {
  expect(() => answer(200, `<Tagging>${'x'.repeat(512 * 1024)}`)).toThrow(
    expect.objectContaining({ code: 'origin_unsupported' }),
  );
});

test.for([
  [404, 'NoSuchTagSet'],
  [404, 'NoSuchLifecycleConfiguration'],
  [404, 'ObjectLockConfigurationNotFoundError'],
  [400, 'InvalidRequest'],
  [409, 'InvalidBucketState'],
] as const)('%i %s is the answer: there is no such document', ([status, code]) => {
  expect(answer(status, errorOf(code))).toEqual({ status, code, message: 'text' });
});

describe('rejects with', () => {
  test.for([
    [404, 'NoSuchKey', 'not_found'],
    [404, 'NoSuchBucket', 'bucket_not_found'],
    [404, 'NoSuchVersion', 'version_not_found'],
    [403, 'AccessDenied', 'access_denied'],
    [403, 'InvalidAccessKeyId', 'origin_denied'],
    [400, 'ExpiredToken', 'origin_denied'],
    [405, 'MethodNotAllowed', 'not_implemented'],
    [501, 'NotImplemented', 'not_implemented'],
    [503, 'SlowDown', 'origin_throttled'],
    [500, 'InternalError', 'origin_unavailable'],
  ] as const)('%i %s: %s', ([status, code, expected]) => {
    expect(() => answer(status, errorOf(code))).toThrow(expect.objectContaining({ code: expected }));
  });

  test('404 without a document: not_found', () => {
    expect(() => answer(404, '')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  test('405 of a delete marker: delete_marker', () => {
    expect(() => answer(405, errorOf('MethodNotAllowed'), { 'x-amz-delete-marker': 'true' })).toThrow(
      expect.objectContaining({ code: 'delete_marker' }),
    );
  });
});
