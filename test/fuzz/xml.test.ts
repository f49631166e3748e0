/** Fuzzes XML: our documents in other parsers, and an origin's documents in ours. */
import { parseXML } from '@aws-sdk/xml-builder';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeToken } from '#cache/core/s3/continuation-token.ts';
import { bucketsDocument, listDocument } from '#cache/core/s3/list-document.ts';
import { parseListRequest } from '#cache/core/s3/list-request.ts';
import type { ListItem } from '#cache/core/s3/listing.ts';
import { errorDocument } from '#cache/core/s3/xml.ts';
import { parseBlobPage } from '#cache/origins/azure-blob/list-xml.ts';
import { faultOf } from '#cache/wire/s3/client.ts';
import { damaged, nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';
import { childrenOf, parseStrictXml, textOf } from '#test/support/strict-xml.ts';

const evil = nasty(
  '<',
  '>',
  '&',
  '"',
  "'",
  '</Key>',
  '<![CDATA[',
  ']]>',
  '<!--',
  '&lt;',
  '&#0;',
  '&x;',
  '%3C',
  '+',
  '/',
  '\u0001',
  '\ufffe',
  '\t',
);
/**
 * Text that XML 1.0 can represent. Other characters become references that strict parsers reject, and that S3 clients
 * accept.
 */
const speakable = evil.filter(
  (text) => text.isWellFormed() && !/[^\P{Cc}\t\n\r\u007f-\u009f]|[\ufffe\uffff]/u.test(text),
);

const itemsOf = (key: fc.Arbitrary<string>): fc.Arbitrary<ListItem[]> =>
  fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant('object' as const),
        entry: fc.record({
          key,
          etag: evil.map((text) => text.toWellFormed().replaceAll(/[\p{Cc}\ufffe\uffff]/gu, '')),
          sizeBytes: fc.maxSafeNat(),
          lastModifiedMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
          storageClass: fc.constantFrom('STANDARD', 'GLACIER'),
        }),
      }),
      fc.record({ kind: fc.constant('prefix' as const), prefix: key }),
    ),
    { maxLength: 4 },
  );
const queryOf = (text: fc.Arbitrary<string>) =>
  fc.record(
    {
      'list-type': fc.constant('2'),
      prefix: text,
      delimiter: text,
      'start-after': text,
      marker: text,
      'max-keys': fc.constantFrom('', '0', '7', '99999'),
    },
    { requiredKeys: [] },
  );

describe('a list', () => {
  test.for([
    ['encoded, with arbitrary keys', evil.filter((text) => text.isWellFormed()), true],
    ['plain, of what XML can say', speakable, false],
  ] as const)('%s, is well-formed and round-trips', ([, text, encoded]) => {
    fc.assert(
      fc.property(queryOf(text), itemsOf(text), fc.boolean(), (query, items, truncated) => {
        const asked = { ...query, ...(encoded && { 'encoding-type': 'url' }) };
        const outcome = outcomeOf(
          () => parseListRequest('models', new Map(Object.entries(asked)), undefined),
          'invalid_argument',
        );
        if ('error' in outcome) return;
        const source = listDocument(outcome.value, { items, truncated });
        const document = parseStrictXml(source);
        const decode = (name: string | undefined) => (encoded ? decodeURIComponent(name ?? '') : (name ?? ''));
        const keys = childrenOf(document, 'Contents').map((entry) => decode(textOf(entry, 'Key')));
        const prefixes = childrenOf(document, 'CommonPrefixes').map((entry) => decode(textOf(entry, 'Prefix')));
        expect(keys).toEqual(items.flatMap((item) => (item.kind === 'object' ? [item.entry.key] : [])));
        expect(prefixes).toEqual(items.flatMap((item) => (item.kind === 'prefix' ? [item.prefix] : [])));
        expect(decode(textOf(document, 'Prefix'))).toBe(query.prefix ?? '');
        expect(textOf(document, 'IsTruncated')).toBe(String(truncated));
        // The parser of the SDK sees the same elements.
        const bySdk = parseXML(source) as { ListBucketResult?: Record<string, unknown> };
        expect(
          Object.keys(bySdk.ListBucketResult ?? {})
            .filter((name) => name !== 'xmlns')
            .toSorted(),
        ).toEqual([...new Set(document.children.map(({ name }) => name))].toSorted());
      }),
      { numRuns: RUNS / 2 },
    );
  });

  test('of buckets is well-formed', () => {
    fc.assert(
      fc.property(fc.array(speakable), speakable, (names, prefix) => {
        const entries = names.map((name) => ({ name, createdMs: 0 }));
        const document = parseStrictXml(bucketsDocument(entries, { prefix, region: 'r<', nextToken: undefined }));
        const shown = childrenOf(
          document.children.find(({ name }) => name === 'Buckets')!,
          'Bucket',
        );
        expect(shown.map((bucket) => textOf(bucket, 'Name'))).toEqual(names);
      }),
      { numRuns: RUNS / 5 },
    );
  });
});

test('an error is well-formed, and a client cannot inject elements into it', () => {
  fc.assert(
    fc.property(evil, evil, evil, (key, bucket, message) => {
      const document = parseStrictXml(
        errorDocument({ Code: 'C', Message: message, Key: key, BucketName: bucket, RequestId: 'r' }),
      );
      expect(document.children.map(({ name }) => name)).toEqual(['Code', 'Message', 'Key', 'BucketName', 'RequestId']);
      if (key.isWellFormed() && !/[^\P{Cc}\t\n\r\u007f-\u009f]|[\ufffe\uffff]/u.test(key))
        expect(textOf(document, 'Key')).toBe(key);
    }),
    { numRuns: RUNS },
  );
});

test('a continuation token is valid only for its own query, and arbitrary text is not a token', () => {
  const query = fc.record({ bucket: fc.constantFrom('a', 'b'), prefix: evil, delimiter: fc.constantFrom('', '/') });
  const wellFormed = evil.filter((text) => text.isWellFormed() && text !== '');
  fc.assert(
    fc.property(query, query, wellFormed, evil, (query, other, after, rubbish) => {
      const prefixed = { ...query, prefix: query.prefix.toWellFormed() };
      const document = listDocument(
        {
          ...prefixed,
          version: 2,
          after: '',
          maxKeys: 1,
          encodeNames: true,
          fetchOwner: false,
          withRestore: false,
          startAfter: undefined,
          token: undefined,
        },
        { items: [{ kind: 'prefix', prefix: after }], truncated: true },
      );
      const token = textOf(parseStrictXml(document), 'NextContinuationToken') ?? '';
      expect(decodeToken(prefixed, token)).toBe(after);
      const elsewhere = { ...other, prefix: other.prefix.toWellFormed() };
      if (JSON.stringify(elsewhere) !== JSON.stringify(prefixed))
        expect(outcomeOf(() => decodeToken(elsewhere, token), 'invalid_argument')).toHaveProperty('error');
      expect(outcomeOf(() => decodeToken(prefixed, rubbish), 'invalid_argument')).toHaveProperty('error');
    }),
    { numRuns: RUNS },
  );
});

describe('a page of an Azure origin', () => {
  const PAGE =
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs><Blob><Name>a &amp; b</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x8D1</Etag><Content-Length>5</Content-Length></Properties></Blob><Blob><Name Encoded="true">c%20d</Name><Properties><Etag>"0x2"</Etag><Content-Length>0</Content-Length></Properties><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob></Blobs><NextMarker>m</NextMarker></EnumerationResults>';

  const check = (xml: string): void => {
    // Text as UTF-8 decodes it.
    const outcome = outcomeOf(() => parseBlobPage(xml.toWellFormed()), 'origin_unavailable');
    if ('error' in outcome || outcome.value === undefined) return;
    for (const blob of outcome.value.blobs) {
      expect(Number.isSafeInteger(blob.sizeBytes) && blob.sizeBytes >= 0).toBe(true);
      expect(Number.isFinite(blob.lastModifiedMs)).toBe(true);
      expect(typeof blob.name).toBe('string');
      expect(blob.name.isWellFormed()).toBe(true);
    }
  };

  test('with one change is a page or rejected', () => {
    expect(parseBlobPage(PAGE)?.blobs.map(({ name }) => name)).toEqual(['a & b', 'c d']);
    fc.assert(fc.property(damaged(PAGE), check), { numRuns: RUNS });
  });

  test('with its own elements in any order is a page or rejected', () => {
    const pieces = PAGE.split(/(?=<)/);
    const page = nasty(...pieces);
    const name = nasty('&constructor;', '&#xD800;', '&#xDC00;', '&#x110000;', '&#0;', '&amp;', '&', ';', '%', 'a');
    fc.assert(
      fc.property(page, name, (inside, name) =>
        check(
          `<Blob><Name>${name}</Name><Etag>e</Etag><Content-Length>1</Content-Length>${inside}</Blob></EnumerationResults>`,
        ),
      ),
      { numRuns: RUNS },
    );
  });
});

test('an arbitrary error document of an origin yields a code and a message', () => {
  fc.assert(
    fc.property(
      nasty('<Code>', '</Code>', '<Message>', '</Message>', 'NoSuchKey', '<Error>', '<Code><Code>'),
      (text) => {
        const { code, message } = faultOf(Buffer.from(text));
        expect(code + message).not.toContain('<');
      },
    ),
    { numRuns: RUNS / 2 },
  );
});
