import { assert, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { parseBlobNames } from '#cache/stores/azure-blob/list-blobs.ts';
import { XmlError } from '#cache/wire/xml.ts';
import { damaged, RUNS } from '#test/support/fuzz.ts';
import { openScriptedAzure } from '#test/support/scripted-azure.ts';
import { reply, type CapturedRequest, type ScriptedServer } from '#test/support/scripted-server.ts';

const { signal } = new AbortController();
const HEX = 'ab'.repeat(32);
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `far/${HEX}/${index}`);

async function open(
  answerOf: (request: CapturedRequest) => Buffer | 'reset',
): Promise<{ server: ScriptedServer; store: ProbedStore }> {
  return openScriptedAzure((request, answer) => {
    const bytes = answerOf(request);
    if (bytes === 'reset') answer.reset();
    else answer.write(bytes);
  });
}

const refused = (status: string, code: string): Buffer => reply(status, { 'x-ms-error-code': code });
const accepted = reply('202 Accepted', {});
const blob = (name: string, more = ''): string =>
  `<Blob><Name>${name}</Name><Properties><Last-Modified>Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Etag>0x1</Etag>${more}<Content-Length>5</Content-Length></Properties></Blob>`;
const pageOf = (content: string, end = '<NextMarker />'): string =>
  `\uFEFF<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://acme.blob.core.windows.net/" ContainerName="chunks"><Prefix>far/</Prefix><Blobs>${content}</Blobs>${end}</EnumerationResults>`;

describe('a list', () => {
  test('is one request per page, without directories', async () => {
    const { server, store } = await open(({ target }) =>
      reply(
        '200 OK',
        {},
        target.includes('marker')
          ? pageOf(blob(`far/${HEX}/1`))
          : pageOf(
              blob(`far/${HEX}/0`) + blob(`far/${HEX}`, '<ResourceType>directory</ResourceType>'),
              '<NextMarker>2!a=b&amp;c</NextMarker>',
            ),
      ),
    );
    const first = await store.list('far/ab', undefined, { signal });
    expect(first).toEqual({
      entries: [{ name: `far/${HEX}/0`, sizeBytes: 5, modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5) }],
      cursor: '2!a=b&c',
    });
    const second = await store.list('far/ab', first.cursor, { signal });
    expect(second).toMatchObject({ entries: [{ name: `far/${HEX}/1` }], cursor: undefined });
    expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      'GET /acme/chunks?restype=container&comp=list&prefix=far%2Fab&maxresults=1000',
      'GET /acme/chunks?restype=container&comp=list&prefix=far%2Fab&maxresults=1000&marker=2!a%3Db%26c',
    ]);
  });

  test('has names that XML cannot represent', async () => {
    const encoded = blob(`far/${HEX}/0`).replace(/<Name>.*<\/Name>/, '<Name Encoded="true">far%2F%EF%BF%BE</Name>');
    const { store } = await open(() => reply('200 OK', {}, pageOf(encoded)));
    expect((await store.list('far/', undefined, { signal })).entries).toMatchObject([{ name: 'far/\uFFFE' }]);
  });

  const page = pageOf(blob(`far/${HEX}/0`) + blob(`far/${HEX}/1`));
  test.for([
    ['is cut', page.slice(0, -10)],
    ['is of another kind', page.replaceAll('EnumerationResults', 'Error')],
    ['has no marker', pageOf(blob(`far/${HEX}/0`), '')],
    ['has no blobs element', '<EnumerationResults><NextMarker /></EnumerationResults>'],
    ['has a blob without properties', pageOf(`<Blob><Name>far/${HEX}/0</Name></Blob>`)],
    [
      'has a blob without a time',
      pageOf(blob(`far/${HEX}/0`).replace('Last-Modified', 'Modified').replace('/Last-Modified', '/Modified')),
    ],
    ['has names with another prefix', pageOf(blob('other/x'))],
  ] as const)('that %s is an error, not a shorter list', async ([, body]) => {
    const { store } = await open(() => reply('200 OK', {}, body));
    await expect(store.list('far/', undefined, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test.for([
    ['403 Forbidden', 'AuthorizationPermissionMismatch', 403],
    ['404 Not Found', 'ContainerNotFound', 404],
  ] as const)('that is answered with %s %s is store_unavailable', async ([status, code, number]) => {
    const { store } = await open(() => refused(status, code));
    await expect(store.list('far/', undefined, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
      status: number,
    });
  });

  test('a document with one wrong character has all its names, or cannot be read', () => {
    assert(
      property(damaged(page), (text) => {
        try {
          expect(parseBlobNames(text).entries).toHaveLength(2);
        } catch (error) {
          expect(error).toBeInstanceOf(XmlError);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('a removal', () => {
  test('is one DELETE per name; a missing blob counts as removed', async () => {
    const { server, store } = await open(({ target }) =>
      target.endsWith('/1') ? refused('404 Not Found', 'BlobNotFound') : accepted,
    );
    expect(await store.remove(names(20), { signal })).toEqual({ removed: 20, failed: [] });
    expect(server.requests.map(({ method, target }) => `${method} ${target}`).toSorted()).toEqual(
      names(20)
        .map((name) => `DELETE /acme/chunks/${name}`)
        .toSorted(),
    );
    expect(server.accepted).toBeLessThanOrEqual(8);
  });

  test('includes snapshots only where there are some', async () => {
    const { server, store } = await open(({ headers }) =>
      headers['x-ms-delete-snapshots'] === undefined ? refused('409 Conflict', 'SnapshotsPresent') : accepted,
    );
    expect(await store.remove(names(1), { signal })).toEqual({ removed: 1, failed: [] });
    expect(server.requests.map(({ headers }) => headers['x-ms-delete-snapshots'])).toEqual([undefined, 'include']);
  });

  test('of which a half is refused reports that half, and removes the other', async () => {
    const { store } = await open(({ target }) =>
      Number(target.split('/').at(-1)) < 50 ? refused('403 Forbidden', 'BlobImmutableDueToPolicy') : accepted,
    );
    const { removed, failed } = await store.remove(names(100), { signal });
    expect(removed).toBe(50);
    expect(failed.map(({ name }) => name).toSorted()).toEqual(names(50).toSorted());
    for (const { error } of failed) expect(error).toMatchObject({ code: 'store_unavailable', status: 403 });
  });

  test.for(['503 Server Busy', 'reset'] as const)(
    'to a store that answers %s to every request stops soon, and fails',
    async (how) => {
      const { server, store } = await open(() => (how === 'reset' ? how : refused(how, 'ServerBusy')));
      await expect(store.remove(names(1_000), { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
      // Eight at once, until eight have failed in a row.
      expect(server.requests.length).toBeLessThanOrEqual(2 * 8 * 2);
    },
  );

  test('to a store that fails in the middle reports the remaining names', async () => {
    const { store } = await open(({ target }) =>
      Number(target.split('/').at(-1)) < 100 ? accepted : refused('503 Server Busy', 'ServerBusy'),
    );
    const { removed, failed } = await store.remove(names(1_000), { signal });
    expect([removed, failed.length]).toEqual([100, 900]);
    expect(failed[0]).toMatchObject({ error: { status: 503 } });
  });

  test('ends when it is cancelled', async () => {
    const cancelled = new AbortController();
    const { server, store } = await open(({ target }) => {
      if (target.endsWith('/20')) cancelled.abort();
      return accepted;
    });
    await expect(store.remove(names(1_000), { signal: cancelled.signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(server.requests.length).toBeLessThan(100);
  });
});
