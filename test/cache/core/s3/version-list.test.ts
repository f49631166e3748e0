import { describe, expect, test } from 'vitest';
import { versionListDocument } from '#cache/core/s3/version-list-document.ts';
import {
  parseVersionListRequest,
  versionsUnder,
  versionsWithout,
  type VersionItem,
} from '#cache/core/s3/version-list.ts';
import { isImmutable, versionIdOf } from '#cache/core/s3/version-id.ts';

const version = (key: string, versionId: string, isLatest: boolean): VersionItem => ({
  kind: 'version',
  versionId,
  isLatest,
  entry: { key, etag: 'e', sizeBytes: 3, lastModifiedMs: Date.UTC(2026, 0, 2), storageClass: 'STANDARD' },
});

describe('a request for a list of versions', () => {
  const parse = (query: Readonly<Record<string, string>>) =>
    parseVersionListRequest('b', new Map(Object.entries({ versions: '', ...query })));

  test('has the defaults of S3', () => {
    expect(parse({})).toEqual({
      bucket: 'b',
      prefix: '',
      delimiter: '',
      keyMarker: '',
      versionIdMarker: '',
      maxKeys: 1000,
      encodeNames: false,
    });
  });

  test.for([{ 'version-id-marker': 'v1' }, { 'max-keys': 'x' }, { 'encoding-type': 'base64' }])(
    '%j is refused',
    (query) => {
      expect(() => parse(query as Record<string, string>)).toThrow(
        expect.objectContaining({ code: 'invalid_argument' }),
      );
    },
  );
});

test('the document has the elements of S3 in their order', () => {
  const request = parseVersionListRequest(
    'b',
    new Map([
      ['prefix', 'a b'],
      ['encoding-type', 'url'],
      ['delimiter', '/'],
    ]),
  );
  const items: VersionItem[] = [
    version('a b', 'v2', true),
    { kind: 'delete_marker', versionId: 'v1', isLatest: false, entry: { key: 'a b', lastModifiedMs: 0 } },
    { kind: 'prefix', prefix: 'a b/' },
  ];
  const xml = versionListDocument(request, { items, next: { keyMarker: 'a b/', versionIdMarker: '' } });
  const owner = '<Owner><ID>orcacache</ID><DisplayName>orcacache</DisplayName></Owner>';
  expect(xml).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>a%20b</Prefix>' +
      '<KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><NextKeyMarker>a%20b/</NextKeyMarker>' +
      '<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>' +
      '<Version><Key>a%20b</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>' +
      '<LastModified>2026-01-02T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size>' +
      `<StorageClass>STANDARD</StorageClass>${owner}</Version>` +
      '<DeleteMarker><Key>a%20b</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>' +
      `<LastModified>1970-01-01T00:00:00.000Z</LastModified>${owner}</DeleteMarker>` +
      '<CommonPrefixes><Prefix>a%20b/</Prefix></CommonPrefixes></ListVersionsResult>',
  );
});

test('a bucket rule puts its prefix before names, and removes it from the answer', () => {
  const query = { prefix: 'p', delimiter: '', keyMarker: 'k', versionIdMarker: 'v', maxKeys: 1 };
  expect(versionsUnder('dir/', query)).toEqual({ ...query, prefix: 'dir/p', keyMarker: 'dir/k' });
  expect(versionsUnder('dir/', { ...query, keyMarker: '' }).keyMarker).toBe('');
  const page = { items: [version('dir/a', 'v1', true)], next: { keyMarker: 'dir/a', versionIdMarker: 'v1' } };
  expect(versionsWithout('dir/', page)).toEqual({
    items: [version('a', 'v1', true)],
    next: { keyMarker: 'a', versionIdMarker: 'v1' },
  });
  expect(() => versionsWithout('dir/', { items: [version('other', 'v1', true)], next: undefined })).toThrow(
    expect.objectContaining({ code: 'origin_unavailable' }),
  );
});

test('only the null version can have other bytes later', () => {
  expect([undefined, 'null', 'v1'].map(isImmutable)).toEqual([false, false, true]);
});

test('without versionId a request is about the current version', () => {
  expect(versionIdOf(new Map())).toBeUndefined();
});
