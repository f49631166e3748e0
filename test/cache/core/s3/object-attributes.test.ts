import { expect, test } from 'vitest';
import {
  attributesDocument,
  hasPartChecksums,
  requestedAttributes,
  requestedParts,
} from '#cache/core/s3/object-attributes.ts';

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

test('parts with checksums are listed in pages', () => {
  const parts = [3, 4].map((number) => ({
    number,
    sizeBytes: number * 10,
    checksums: { 'x-amz-checksum-sha256': `sum${number}`, 'x-amz-checksum-type': 'COMPOSITE' },
  }));
  const document = attributesDocument(requestedAttributes('ObjectParts'), HEAD, 9, { after: 2, maxParts: 2, parts });
  expect(inside(document)).toBe(
    '<ObjectParts><IsTruncated>true</IsTruncated><MaxParts>2</MaxParts>' +
      '<NextPartNumberMarker>4</NextPartNumberMarker><PartNumberMarker>2</PartNumberMarker>' +
      '<Part><ChecksumSHA256>sum3</ChecksumSHA256><PartNumber>3</PartNumber><Size>30</Size></Part>' +
      '<Part><ChecksumSHA256>sum4</ChecksumSHA256><PartNumber>4</PartNumber><Size>40</Size></Part>' +
      '<PartsCount>9</PartsCount></ObjectParts>',
  );
});

test('only checksums of parts make S3 list the parts', () => {
  const of = (headers: Record<string, string>) => hasPartChecksums({ headers });
  expect(of({})).toBe(false);
  expect(of({ 'x-amz-checksum-type': 'COMPOSITE' })).toBe(false);
  expect(of({ 'x-amz-checksum-crc64nvme': 'AAAA', 'x-amz-checksum-type': 'FULL_OBJECT' })).toBe(false);
  expect(of({ 'x-amz-checksum-crc32': 'AAAA', 'x-amz-checksum-type': 'COMPOSITE' })).toBe(true);
  expect(of({ 'x-amz-checksum-crc32': 'AAAA-3' })).toBe(true);
});

test('a page has at most 100 parts', () => {
  expect(requestedParts(undefined, undefined)).toEqual({ after: 0, maxParts: 100 });
  expect(requestedParts('1000', '7')).toEqual({ after: 7, maxParts: 100 });
  expect(requestedParts('2', '')).toEqual({ after: 0, maxParts: 2 });
  for (const [maxParts, marker] of [
    ['x', undefined],
    ['-1', undefined],
    [undefined, '1.5'],
  ] as const)
    expect(() => requestedParts(maxParts, marker)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});
