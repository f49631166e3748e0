import { describe, expect, test } from 'vitest';
import { bucketsDocument, listDocument, locationDocument } from '#cache/core/s3/list-document.ts';
import { parseListRequest } from '#cache/core/s3/list-request.ts';
import type { ListPage } from '#cache/core/s3/listing.ts';

const query = (text: string) => new Map(new URLSearchParams(text));
const request = (text: string, attributes?: string) => parseListRequest('models', query(text), attributes);
const page: ListPage = {
  items: [
    {
      kind: 'object',
      entry: { key: 'a b+<c>', etag: 'e-1', sizeBytes: 5, lastModifiedMs: 1_767_323_045_678, storageClass: 'STANDARD' },
    },
    { kind: 'prefix', prefix: 'dir/' },
  ],
  truncated: true,
};
const OPEN =
  '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">';

describe('ListObjectsV2', () => {
  test('has the elements of AWS in its order', () => {
    const document = listDocument(request('list-type=2&delimiter=/&max-keys=2'), page);
    expect(document.replace(/<NextContinuationToken>[\w-]+</, '<NextContinuationToken>TOKEN<')).toBe(
      `${OPEN}<Name>models</Name><Prefix></Prefix><NextContinuationToken>TOKEN</NextContinuationToken>` +
        '<KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>' +
        '<Contents><Key>a b+&lt;c&gt;</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;e-1&quot;</ETag>' +
        '<Size>5</Size><StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>' +
        '</ListBucketResult>',
    );
  });

  test('repeats the parameters of the request, even an empty token, and encodes names on request', () => {
    const document = listDocument(
      request('list-type=2&start-after=x%20y%2Bz&continuation-token=&encoding-type=url&fetch-owner=true'),
      page,
    );
    expect(document).toContain('<StartAfter>x%20y%2Bz</StartAfter><ContinuationToken></ContinuationToken>');
    expect(document).toContain('<EncodingType>url</EncodingType>');
    expect(document).toContain('<Key>a%20b%2B%3Cc%3E</Key>');
    expect(document).toContain('<Owner><ID>orcacache</ID>');
    expect(document).toContain('<Prefix>dir/</Prefix>');
  });

  test('lists the checksums that the origin keeps', () => {
    const checksums = { algorithms: ['CRC32', 'SHA256'], type: 'COMPOSITE' };
    const entry = { key: 'k', etag: 'e', sizeBytes: 1, lastModifiedMs: 0, storageClass: 'STANDARD', checksums };
    expect(listDocument(request('list-type=2'), { items: [{ kind: 'object', entry }], truncated: false })).toContain(
      '<ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>' +
        '<ChecksumType>COMPOSITE</ChecksumType><Size>1</Size>',
    );
  });

  test('lists the restore status of archived objects on request', () => {
    const restored: ListPage = {
      items: [
        {
          kind: 'object',
          entry: {
            key: 'k',
            etag: 'e',
            sizeBytes: 1,
            lastModifiedMs: 0,
            storageClass: 'GLACIER',
            restore: 'ongoing-request="false", expiry-date="Fri, 02 Jan 2026 00:00:00 GMT"',
          },
        },
      ],
      truncated: false,
    };
    const told =
      '<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2026-01-02T00:00:00.000Z';
    expect(listDocument(request('list-type=2', 'Foo, RestoreStatus'), restored)).toContain(told);
    expect(listDocument(request('list-type=2'), restored)).not.toContain('RestoreStatus');
  });

  test('contains control characters as character references', () => {
    const odd: ListPage = { items: [{ kind: 'prefix', prefix: '\u0001\n' }], truncated: false };
    expect(listDocument(request('list-type=2'), odd)).toContain('<Prefix>&#x1;&#xa;</Prefix>');
  });
});

describe('ListObjects', () => {
  test('always has a marker and owners, and a next marker only with a delimiter', () => {
    expect(listDocument(request('marker=m&delimiter=/'), page)).toContain(
      '<Name>models</Name><Prefix></Prefix><Marker>m</Marker><NextMarker>dir/</NextMarker><MaxKeys>1000</MaxKeys>',
    );
    const plain = listDocument(request(''), page);
    expect(plain).toContain('<Marker></Marker><MaxKeys>');
    expect(plain).toContain('<Owner>');
  });
});

test.for([
  ['max-keys=-1', 'max-keys'],
  ['max-keys=x', 'max-keys'],
  ['encoding-type=xml', 'encoding-type'],
  ['list-type=3', 'list-type'],
  ['start-after=a', 'start-after'],
  ['continuation-token=a', 'continuation-token'],
  ['list-type=2&continuation-token=a', 'continuation-token'],
] as const)('%s is rejected', ([text, name]) => {
  expect(() => request(text)).toThrow(
    expect.objectContaining({
      code: 'invalid_argument',
      fields: expect.objectContaining({ ArgumentName: name }) as unknown,
    }),
  );
});

test.for([
  ['', 1000],
  ['max-keys=', 1000],
  ['max-keys=0', 0],
  ['max-keys=7', 7],
  ['encoding-type=', 1000],
  ['max-keys=99999999999', 1000],
] as const)('%j requests at most %i entries', ([text, maxKeys]) => {
  expect(request(text).maxKeys).toBe(maxKeys);
});

test('a continuation token overrides start-after', () => {
  const first = request('list-type=2&prefix=d&start-after=a');
  const next = /<NextContinuationToken>([^<]+)/.exec(listDocument(first, page))?.[1];
  expect(request(`list-type=2&prefix=d&start-after=a&continuation-token=${next}`).after).toBe('dir/');
});

test('the document of ListBuckets contains the buckets and their region', () => {
  expect(
    bucketsDocument([{ name: 'models', createdMs: 0 }], { prefix: '', region: 'eu-west-1', nextToken: undefined }),
  ).toContain(
    '<Buckets><Bucket><Name>models</Name><CreationDate>1970-01-01T00:00:00.000Z</CreationDate><BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets>',
  );
  expect(locationDocument('us-east-1')).toMatch(/<LocationConstraint xmlns="[^"]+"><\/LocationConstraint>$/);
  expect(locationDocument('eu-west-1')).toMatch(/>eu-west-1<\/LocationConstraint>$/);
});
