/** The conformance suite of versions, for every Origin that keeps them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectVersion } from '#cache/core/object.ts';
import type { VersionPage } from '#cache/core/s3/version-list.ts';
import type { Origin } from '#cache/engine/ports.ts';
import { collectSink } from '#test/support/collect-sink.ts';

export interface VersionedFixture extends AsyncDisposable {
  readonly origin: Origin;
  /** A bucket that keeps no versions yet. */
  readonly bucket: string;
  keepVersions(): Promise<void>;
  put(key: string, body: string): Promise<void>;
  /** Resolves with the ID of the delete marker. */
  remove(key: string): Promise<string>;
}

/** `pageSize`: versitygw makes no progress with pages of one entry. */
export function originVersionsSuite(name: string, open: () => Promise<VersionedFixture>, pageSize = 1): void {
  describe(`the versions of the origin ${name}`, () => {
    let fixture: VersionedFixture;
    const { signal } = new AbortController();

    beforeAll(async () => {
      fixture = await open();
      await fixture.put('older', 'before versioning');
      await fixture.keepVersions();
      await fixture.put('older', 'after');
    });
    afterAll(() => fixture[Symbol.asyncDispose]());

    const head = (key: string, versionId?: string) => fixture.origin.head(fixture.bucket, key, { signal }, versionId);
    const put = async (key: string, body: string): Promise<string> => {
      await fixture.put(key, body);
      return (await head(key)).headers['x-amz-version-id'] ?? '';
    };
    const read = async (key: string, versionId: string): Promise<string> => {
      const { etag, sizeBytes } = await head(key, versionId);
      const object: ObjectVersion = { originId: 'test', bucket: fixture.bucket, key, etag, sizeBytes, versionId };
      const sink = collectSink();
      await fixture.origin.read(object, { from: 0, to: sizeBytes }, sink, { signal });
      return String(sink.bytes());
    };

    test('are read by their IDs, the current one and older ones', async () => {
      const [first, second] = [await put('twice', 'one'), await put('twice', 'two!')];
      expect(first).not.toBe(second);
      expect([await read('twice', first), await read('twice', second)]).toEqual(['one', 'two!']);
      expect((await head('twice', first)).headers['x-amz-version-id']).toBe(first);
    });

    test('an object from before is the null version', async () => {
      expect(await read('older', 'null')).toBe('before versioning');
    });

    test('an object that was never stored without versions has no null version', async () => {
      await put('new', 'one');
      await expect(head('new', 'null')).rejects.toMatchObject({ code: 'version_not_found' });
    });

    test('an older version is read with the ETag of that version only', async () => {
      const [first] = [await put('pinned', 'one'), await put('pinned', 'two!')];
      const { etag, sizeBytes } = await head('pinned');
      const object = { originId: 'test', bucket: fixture.bucket, key: 'pinned', etag, sizeBytes, versionId: first };
      await expect(
        fixture.origin.read(object, { from: 0, to: sizeBytes }, collectSink(), { signal }),
      ).rejects.toMatchObject({ code: 'object_changed' });
    });

    test('a deleted object is not_found; its older versions stay, and the marker is a delete_marker', async () => {
      const first = await put('deleted', 'one');
      const marker = await fixture.remove('deleted');
      await expect(head('deleted')).rejects.toMatchObject({ code: 'not_found' });
      expect(await read('deleted', first)).toBe('one');
      await expect(head('deleted', marker)).rejects.toMatchObject({
        code: 'delete_marker',
        headers: { 'x-amz-delete-marker': 'true' },
      });
    });

    test.for([
      ['nonsense', 'version_invalid'],
      // Another key's version ID has the right form.
      ['another', 'version_not_found'],
    ] as const)('the version ID %s is %s', async ([kind, code]) => {
      await put('known', 'one');
      const versionId = kind === 'another' ? await put('of-another-key', 'one') : kind;
      await expect(head('known', versionId)).rejects.toMatchObject({ code });
    });

    test('are listed by key, the newest first, with delete markers, and page by page the same', async () => {
      await put('list/a', 'one');
      await put('list/a', 'two!');
      await put('list/b c', 'one');
      const marker = await fixture.remove('list/b c');
      await put('list/dir/c', 'one');
      const query = { prefix: 'list/', delimiter: '/', keyMarker: '', versionIdMarker: '', maxKeys: 1000 };
      const shown = ({ items }: VersionPage) =>
        items.map((item) =>
          item.kind === 'prefix' ? item.prefix : `${item.kind} ${item.entry.key}${item.isLatest ? ' latest' : ''}`,
        );
      const whole = await fixture.origin.listVersions(fixture.bucket, query, { signal });
      expect(shown(whole)).toEqual([
        'version list/a latest',
        'version list/a',
        'delete_marker list/b c latest',
        'version list/b c',
        'list/dir/',
      ]);
      expect(whole.next).toBeUndefined();
      expect(whole.items).toContainEqual(expect.objectContaining({ kind: 'delete_marker', versionId: marker }));
      const paged: string[] = [];
      let next: VersionPage['next'] = { keyMarker: '', versionIdMarker: '' };
      while (next !== undefined) {
        const page: VersionPage = await fixture.origin.listVersions(
          fixture.bucket,
          { ...query, delimiter: '', ...next, maxKeys: pageSize },
          { signal },
        );
        paged.push(...shown(page));
        next = page.next;
      }
      expect(paged).toEqual([...shown(whole).slice(0, -1), 'version list/dir/c latest']);
    });

    test('the first part of a version that was not a multipart upload is all of it', async () => {
      const [first] = [await put('part', 'one'), await put('part', 'two!')];
      const { etag, sizeBytes } = await head('part', first);
      const object = { originId: 'test', bucket: fixture.bucket, key: 'part', etag, sizeBytes, versionId: first };
      expect(await fixture.origin.part(object, 1, { signal })).toMatchObject({ range: { from: 0, to: 3 } });
    });
  });
}
