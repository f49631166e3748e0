import { expect, test } from 'vitest';
import { attributesDocument, requestedAttributes } from '#cache/core/s3/object-attributes.ts';

const HEAD = { etag: 'abc-3', sizeBytes: 5, lastModifiedMs: 0, headers: {} };
const ALL = requestedAttributes('ETag,Checksum,ObjectParts,StorageClass,ObjectSize');
const inside = (document: string): string => /<GetObjectAttributesResponse[^>]*>(.*)<\//s.exec(document)?.[1] ?? '';

test('the attributes are those of the header, in the order of S3', () => {
  const headers = {
    'x-amz-checksum-crc32': 'AAAAAA==',
    'x-amz-checksum-type': 'COMPOSITE',
    'x-amz-storage-class': 'GLACIER_IR',
  };
  expect(inside(attributesDocument(ALL, { ...HEAD, headers }, 3))).toBe(
    '<ETag>abc-3</ETag>' +
      '<Checksum><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></Checksum>' +
      '<ObjectParts><PartsCount>3</PartsCount></ObjectParts>' +
      '<StorageClass>GLACIER_IR</StorageClass><ObjectSize>5</ObjectSize>',
  );
  expect(inside(attributesDocument(requestedAttributes(' ObjectSize , ETag'), HEAD, 3))).toBe(
    '<ETag>abc-3</ETag><ObjectSize>5</ObjectSize>',
  );
});

test('an object without parts and checksums has neither', () => {
  expect(inside(attributesDocument(ALL, { ...HEAD, etag: 'abc' }, undefined))).toBe(
    '<ETag>abc</ETag><StorageClass>STANDARD</StorageClass><ObjectSize>5</ObjectSize>',
  );
});

test.for([undefined, '', ' , '])('the header %j is refused as missing', (header) => {
  expect(() => requestedAttributes(header)).toThrow(expect.objectContaining({ code: 'bad_request' }));
});

test('an unknown attribute is refused by its name', () => {
  expect(() => requestedAttributes('ETag,Owner')).toThrow(
    expect.objectContaining({ code: 'invalid_argument', fields: expect.objectContaining({ ArgumentValue: 'Owner' }) }),
  );
});
