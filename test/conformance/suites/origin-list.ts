/** The conformance suite of lists: every Origin lists as S3 does. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareKeys, nameOf, PageBuilder, type ListPage, type ListQuery } from '#cache/core/s3/listing.ts';
import type { OriginFixture } from './origin.ts';

/** No key is the directory of another one: a server on a file system cannot hold both. */
const KEYS = [
  'plain',
  'with space',
  'plus+sign',
  'percent%25 and %',
  'amp&lt<gt>quote"',
  'dir/one',
  'dir/two',
  'dir/sub/three',
  'dir/sub/four',
  'dir-dash/x',
  'dir.dot/y',
  'foo::1',
  'foo::2',
  'foo::bar/3',
  'é/accent',
  '\uff5e-fullwidth',
  '\u{1f433}-astral',
  'zz/deep/er/and/deeper',
  ...Array.from({ length: 20 }, (_, index) => `many/${String(index).padStart(2, '0')}`),
].map((key) => `list/${key}`);

export function originListSuite(name: string, open: () => Promise<OriginFixture>): void {
  describe(`a list of the origin ${name}`, () => {
    let fixture: OriginFixture;
    const { signal } = new AbortController();

    beforeAll(async () => {
      fixture = await open();
      for (const key of KEYS) await fixture.put(key, Buffer.from(key));
      await fixture.put('other', Buffer.from('other'));
    });
    afterAll(() => fixture[Symbol.asyncDispose]());

    const list = (query: Partial<ListQuery> = {}): Promise<ListPage> =>
      fixture.origin.list(
        fixture.bucket,
        { prefix: 'list/', delimiter: '', after: '', maxKeys: 1000, ...query },
        { signal },
      );
    const model = (query: Partial<ListQuery>): ListPage => {
      const builder = new PageBuilder({ prefix: 'list/', delimiter: '', after: '', maxKeys: 1000, ...query });
      for (const key of KEYS.toSorted(compareKeys))
        builder.add({ key, etag: '', sizeBytes: 0, lastModifiedMs: 0, storageClass: '' });
      return builder.page();
    };
    const shape = ({ items, truncated }: ListPage) => ({
      names: items.map((item) => [item.kind, nameOf(item)]),
      truncated,
    });

    test('contains all keys in the order of their bytes', async () => {
      expect(shape(await list())).toEqual(shape(model({})));
    });

    test('reports the same metadata of each object as a HEAD', async () => {
      const { items } = await list({ prefix: 'list/dir/' });
      for (const item of items) {
        if (item.kind === 'prefix') throw new Error('the list without a delimiter contains a prefix');
        const head = await fixture.origin.head(fixture.bucket, item.entry.key, { signal });
        expect(item.entry).toMatchObject({ etag: head.etag, sizeBytes: head.sizeBytes, storageClass: 'STANDARD' });
        expect(Math.floor(item.entry.lastModifiedMs / 1000) * 1000).toBe(head.lastModifiedMs);
      }
    });

    test('equals that of the model for any prefix, delimiter, start and page size', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(
            'list/',
            'list/d',
            'list/dir/',
            'list/dir',
            'list/foo',
            'list/many/',
            'list/nothing',
            'list/é/',
          ),
          fc.constantFrom('', '/', '::', 'm', '-'),
          fc.constantFrom('', 'list/dir/', 'list/dir/one', 'list/many/07', 'list/m', 'list/zzz', 'list/foo::'),
          fc.integer({ min: 1, max: 9 }),
          async (prefix, delimiter, after, maxKeys) => {
            const query = { prefix, delimiter, after, maxKeys };
            const [page, wanted] = [shape(await list(query)), shape(model(query))];
            expect(page.names).toEqual(wanted.names);
            if (page.truncated === wanted.truncated) return;
            // Some servers mark the last page as truncated if it is full.
            expect(page.truncated).toBe(true);
            const next = await list({ ...query, after: page.names.at(-1)?.[1] ?? '' });
            expect(shape(next)).toEqual({ names: [], truncated: false });
          },
        ),
        { numRuns: 150 },
      );
    });

    test('contains the buckets whose names begin with a prefix', async () => {
      const { origin, bucket } = fixture;
      expect(await origin.listBuckets(bucket.slice(0, 3), { signal })).toEqual([bucket]);
      expect(await origin.listBuckets('', { signal })).toContain(bucket);
      expect(await origin.listBuckets('no-such-', { signal })).toEqual([]);
    });

    test('is bucket_not_found for a missing bucket', async () => {
      const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
      await expect(fixture.origin.list('no-such-bucket', query, { signal })).rejects.toMatchObject({
        code: 'bucket_not_found',
      });
    });

    test('ends when its signal aborts', async () => {
      const aborted = AbortSignal.abort(new Error('aborted'));
      const query = { prefix: '', delimiter: '', after: '', maxKeys: 1 };
      await expect(fixture.origin.list(fixture.bucket, query, { signal: aborted })).rejects.toBeInstanceOf(Error);
    });
  });
}
