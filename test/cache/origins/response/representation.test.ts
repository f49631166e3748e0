import { expect, test } from 'vitest';
import { representationHeaders } from '#cache/origins/response/representation.ts';

test('passes on headers of the object, but not of the response', () => {
  const kept = {
    'content-type': 'text/plain',
    'cache-control': 'max-age=1',
    'content-language': 'de',
    'content-disposition': 'attachment',
    'content-encoding': 'gzip',
    expires: 'Fri, 24 May 2013 00:00:00 GMT',
    'x-amz-meta-empty': '',
    'x-amz-meta-name': 'caf\xe9',
    'x-amz-tagging-count': '2',
    'x-amz-version-id': 'v',
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'k',
    'x-amz-restore': 'ongoing-request="false"',
    'x-amz-expiration': 'expiry',
    'x-amz-mp-parts-count': '3',
    'x-amz-storage-class': 'GLACIER',
    // For clients that request them.
    'x-amz-checksum-crc32': 'AAAA',
    'x-amz-checksum-type': 'FULL_OBJECT',
  };
  const dropped = {
    'x-amz-server-side-encryption-customer-algorithm': 'AES256',
    'x-amz-server-side-encryption-customer-key-md5': 'm',
    'content-length': '5',
    'content-range': 'bytes 0-4/5',
    etag: '"e"',
    date: 'now',
    server: 's',
    connection: 'close',
    'x-amz-request-id': 'r',
    'set-cookie': 'c',
    'accept-ranges': 'bytes',
  };
  expect(representationHeaders({ ...kept, ...dropped })).toEqual(kept);
});

test.for([
  ['aws-chunked', undefined],
  ['aws-chunked,gzip', 'gzip'],
  ['gzip, AWS-Chunked', 'gzip'],
  ['', undefined],
  ['br', 'br'],
] as const)('the content coding %j is passed on as %j', ([value, stored]) => {
  expect(representationHeaders({ 'content-encoding': value })['content-encoding']).toBe(stored);
});

test('omits the default storage class', () => {
  expect(representationHeaders({ 'x-amz-storage-class': 'STANDARD' })).toEqual({});
});
