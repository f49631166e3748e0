import { expect, test } from 'vitest';
import { parseBlobPage } from '#cache/origins/azure-blob/list-xml.ts';

const page = (name: string, rest = ''): string =>
  `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="https://a/"><Blobs><Blob>${name}<Properties>` +
  `<Content-Length>12</Content-Length><Etag>"0x8D1"</Etag>${rest}</Properties><OrMetadata/></Blob></Blobs>` +
  '<NextMarker/></EnumerationResults>';

test.for([
  ['<Name>plain/key</Name>', 'plain/key'],
  ['<Name>a&amp;b&lt;c&gt;d&quot;e&apos;f</Name>', 'a&b<c>d"e\'f'],
  ['<Name>&#xD;&#10;&#x1F433;</Name>', '\r\n\u{1f433}'],
  ['<Name>&amp;lt;</Name>', '&lt;'],
  ['<Name Encoded="true">a%EF%BF%BEb%2520</Name>', 'a\ufffeb%20'],
  ['<Name>percent%20stays</Name>', 'percent%20stays'],
] as const)('the name %s is %j', ([xml, name]) => {
  expect(parseBlobPage(page(xml))?.blobs.map((blob) => blob.name)).toEqual([name]);
});

test('strips the quotes of an ETag and leaves missing fields undefined', () => {
  expect(parseBlobPage(page('<Name>k</Name>'))).toEqual({
    nextMarker: '',
    blobs: [
      {
        name: 'k',
        etag: '0x8D1',
        sizeBytes: 12,
        lastModifiedMs: 0,
        tier: undefined,
        archiveStatus: undefined,
        resourceType: undefined,
        folderMark: undefined,
      },
    ],
  });
});

test('parses an empty page with a marker', () => {
  const xml = '<EnumerationResults><Blobs /><NextMarker>2!a&amp;b</NextMarker></EnumerationResults>\n';
  expect(parseBlobPage(xml)).toEqual({ blobs: [], nextMarker: '2!a&b' });
});

test('returns undefined for a truncated document', () => {
  expect(parseBlobPage(page('<Name>k</Name>').slice(0, -1))).toBeUndefined();
  expect(parseBlobPage('')).toBeUndefined();
});

test.for([
  page(''),
  page('<Name>&nbsp;</Name>'),
  page('<Name>&constructor;</Name>'),
  page('<Name>&#xD800;</Name>'),
  page('<Name>&#x110000;</Name>'),
  page('<Name Encoded="true">%E0%A4%A</Name>'),
  page('<Name>k</Name>').replace('12', '-1'),
  page('<Name>k</Name>').replace('"0x8D1"', ''),
])('rejects a malformed blob instead of omitting it: %s', (xml) => {
  expect(() => parseBlobPage(xml)).toThrow(expect.objectContaining({ code: 'origin_unavailable' }) as Error);
});
