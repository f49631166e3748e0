import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert, property } from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hasCode } from '#cache/core/errors.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { isStoreFull } from '#cache/engine/upstream/guarded.ts';
import { deleteDocument, removalOf } from '#cache/stores/s3/delete-objects.ts';
import { parseObjectPage } from '#cache/stores/s3/list-objects.ts';
import { openS3Store } from '#cache/stores/s3/store.ts';
import { XmlError } from '#cache/wire/xml.ts';
import { chunkFor, metadataFor, patternBytes } from '#test/support/chunks.ts';
import { sleeplessClock } from '#test/support/fake-clock.ts';
import { damaged, RUNS } from '#test/support/fuzz.ts';
import {
  reply,
  startScriptedServer,
  type CapturedRequest,
  type ScriptedServer,
} from '#test/support/scripted-server.ts';

process.env['ORCA_TEST_KEY'] = 'key';
const { signal } = new AbortController();
const HEX = 'ab'.repeat(32);
const NAMES = [`far/${HEX}/0`, `far/${HEX}/1`, '_orca/lists/far/00'];

async function open(
  answerOf: (request: CapturedRequest) => Buffer | 'silence',
): Promise<{ server: ScriptedServer; store: ProbedStore }> {
  const server = await startScriptedServer((request, answer) => {
    const bytes = answerOf(request);
    if (bytes !== 'silence') answer.write(bytes);
  });
  const store = openS3Store({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    caFile: '',
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
    bucket: 'chunks',
    clock: sleeplessClock,
  });
  onTestFinished(async () => {
    await store.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, store };
}

const ok = (body: string): Buffer => reply('200 OK', {}, body);
const fault = (status: string, code: string, message = ''): Buffer =>
  reply(status, {}, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
const object = (key: string, size = '5', modified = '2026-01-02T03:04:05.678Z'): string =>
  `<Contents><Key>${key}</Key><LastModified>${modified}</LastModified><ETag>&quot;e&quot;</ETag><Size>${size}</Size></Contents>`;
const pageOf = (content: string, end = '<IsTruncated>false</IsTruncated>'): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>${end}${content}</ListBucketResult>`;
const DELETED = '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>';

describe('a list', () => {
  test('is one request per page, with the prefix and the token of the page before', async () => {
    const { server, store } = await open(({ target }) =>
      target.includes('continuation-token')
        ? ok(pageOf(object(`far%2F${HEX}/1`)))
        : ok(
            pageOf(
              object(`far%2F${HEX}%2Fa+b%2Bc`),
              '<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c=(1)&amp;</NextContinuationToken>',
            ),
          ),
    );
    const first = await store.list('far/ab', undefined, { signal });
    expect(first).toEqual({
      entries: [{ name: `far/${HEX}/a b+c`, sizeBytes: 5, modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }],
      cursor: 'a/b+c=(1)&',
    });
    const second = await store.list('far/ab', first.cursor, { signal });
    expect(second).toMatchObject({ entries: [{ name: `far/${HEX}/1` }], cursor: undefined });
    expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      'GET /chunks/?list-type=2&prefix=far%2Fab&max-keys=1000&encoding-type=url',
      'GET /chunks/?list-type=2&prefix=far%2Fab&max-keys=1000&encoding-type=url&continuation-token=a%2Fb%2Bc%3D%281%29%26',
    ]);
  });

  const page = pageOf(object(`far/${HEX}/0`) + object(`far/${HEX}/1`));
  test.for([
    ['is cut', page.slice(0, -30)],
    ['is cut after a name', page.slice(0, page.indexOf('</Contents>') + 11)],
    ['is of another kind', '<ListAllMyBucketsResult><IsTruncated>false</IsTruncated></ListAllMyBucketsResult>'],
    ['is an error', '<Error><Code>InternalError</Code></Error>'],
    ['is a page of HTML', '<!DOCTYPE html><html><body>Sign in</body></html>'],
    ['is empty', ''],
    ['does not show whether it is the last', pageOf(object(`far/${HEX}/0`), '')],
    ['names no continuation', pageOf(object(`far/${HEX}/0`), '<IsTruncated>true</IsTruncated>')],
    ['has an unreadable end', pageOf(object(`far/${HEX}/0`), '<IsTruncated>maybe</IsTruncated>')],
    ['has names with another prefix', pageOf(object(`other/${HEX}/0`))],
    ['has a name without a size', pageOf(object(`far/${HEX}/0`, ''))],
    ['has a name without a time', pageOf(object(`far/${HEX}/0`, '5', 'yesterday'))],
    ['has a name that is not encoded', pageOf(object('far/%zz'))],
    ['has more names than requested', pageOf(object(`far/${HEX}/0`).repeat(1_001))],
  ] as const)('that %s is an error, not a shorter list', async ([, body]) => {
    const { store } = await open(() => ok(body));
    await expect(store.list('far/', undefined, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('that repeats its token is an error', async () => {
    const end = '<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>';
    const { store } = await open(() => ok(pageOf('', end)));
    expect(await store.list('far/', undefined, { signal })).toEqual({ entries: [], cursor: 't' });
    await expect(store.list('far/', 't', { signal })).rejects.toThrow(/does not advance/);
  });

  test('without a length may have been cut', async () => {
    const { store } = await open(() => Buffer.from(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${page}`));
    await expect(
      store.list('far/', undefined, { signal, firstByteTimeoutMs: 500, stallTimeoutMs: 500 }),
    ).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test.for([
    ['403 Forbidden', 'AccessDenied', 403],
    ['404 Not Found', 'NoSuchBucket', 404],
    ['404 Not Found', 'NoSuchKey', 404],
    ['500 Internal Server Error', 'InternalError', 500],
  ] as const)('that is answered with %s %s is store_unavailable', async ([status, code, number]) => {
    const { store } = await open(() => fault(status, code));
    await expect(store.list('far/', undefined, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
      status: number,
    });
  });

  test('a document with one wrong character has all its names, or cannot be read', () => {
    const { entries } = parseObjectPage(page);
    assert(
      property(damaged(page), (text) => {
        try {
          expect(parseObjectPage(text).entries).toHaveLength(entries.length);
        } catch (error) {
          expect(error).toBeInstanceOf(XmlError);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('a removal', () => {
  test('is one request with its checksum', async () => {
    const { server, store } = await open(() => ok(DELETED));
    expect(await store.remove(NAMES, { signal })).toEqual({ removed: 3, failed: [] });
    expect(server.requests).toHaveLength(1);
    const [{ method, target, headers, body }] = server.requests as [CapturedRequest];
    expect(`${method} ${target}`).toBe('POST /chunks/?delete=');
    expect(body.toString()).toBe(deleteDocument(NAMES));
    expect(body.toString()).toContain(`<Object><Key>${NAMES[0]}</Key></Object><Object><Key>${NAMES[1]}</Key></Object>`);
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32(body));
    expect(headers).toMatchObject({
      'x-amz-checksum-crc32': crc.toString('base64'),
      'content-length': String(body.length),
    });
    expect(headers['authorization']).toContain('x-amz-checksum-crc32');
  });

  test('has an MD5 where the store wants that, from then on', async () => {
    const { server, store } = await open(({ headers }) =>
      headers['content-md5'] === undefined ? fault('400 Bad Request', 'InvalidRequest') : ok(DELETED),
    );
    for (let round = 0; round < 2; round++) expect(await store.remove(NAMES, { signal })).toMatchObject({ removed: 3 });
    expect(server.requests.map(({ headers }) => headers['content-md5'] !== undefined)).toEqual([false, true, true]);
    const { headers, body } = server.requests[2]!;
    expect(headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
  });

  test.for([
    ['501 Not Implemented', 'NotImplemented', 1],
    ['405 Method Not Allowed', 'MethodNotAllowed', 1],
    ['400 Bad Request', 'MalformedXML', 2],
    ['404 Not Found', 'NoSuchKey', 2],
  ] as const)('is one DELETE per name where the store answers %s', async ([status, code, batches]) => {
    const { server, store } = await open(({ method }) =>
      method === 'POST' ? fault(status, code) : reply('204 No Content', {}),
    );
    for (let round = 0; round < 2; round++)
      expect(await store.remove(NAMES, { signal })).toEqual({ removed: 3, failed: [] });
    const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ target }) => target);
    expect(deleted.toSorted()).toEqual([...NAMES, ...NAMES].map((name) => `/chunks/${name}`).toSorted());
    const posts = server.requests.filter(({ method }) => method === 'POST');
    expect(posts.filter(({ headers }) => headers['content-md5'] === undefined)).toHaveLength(batches);
  });

  test('reports the names that the store refuses, and counts those that are missing', async () => {
    const refusals = `<Error><Key>${NAMES[0]}</Key><Code>AccessDenied</Code><Message>locked</Message></Error><Error><Key>${NAMES[1]}</Key><Code>NoSuchKey</Code></Error>`;
    const { store } = await open(() =>
      ok(`<DeleteResult><Deleted><Key>${NAMES[2]}</Key></Deleted>${refusals}</DeleteResult>`),
    );
    const { removed, failed } = await store.remove(NAMES, { signal });
    expect(removed).toBe(2);
    expect(failed).toMatchObject([{ name: NAMES[0], error: { code: 'store_unavailable', status: 403 } }]);
    expect(failed[0]?.error.message).toContain('AccessDenied');
  });

  test.for([
    ['403 Forbidden', 'AccessDenied', 403],
    ['404 Not Found', 'NoSuchBucket', 404],
    ['503 Service Unavailable', 'SlowDown', 503],
  ] as const)('that is refused with %s %s fails as a whole', async ([status, code, number]) => {
    const { server, store } = await open(() => fault(status, code));
    await expect(store.remove(NAMES, { signal })).rejects.toMatchObject({ code: 'store_unavailable', status: number });
    expect(server.requests).toHaveLength(1);
  });

  test.for([
    ['is an error', '<Error><Code>InternalError</Code></Error>'],
    ['is cut', DELETED.slice(0, -5)],
    ['is empty', ''],
    ['names another object', '<DeleteResult><Error><Key>other</Key><Code>AccessDenied</Code></Error></DeleteResult>'],
    ['names no object', '<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>'],
  ] as const)('whose response %s has an unknown outcome', async ([, body]) => {
    const { store } = await open(() => ok(body));
    await expect(store.remove(NAMES, { signal })).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('every name either failed or was removed, whatever the store says', () => {
    const result = `<DeleteResult><Error><Key>${NAMES[1]}</Key><Code>SlowDown</Code></Error></DeleteResult>`;
    assert(
      property(damaged(result), (text) => {
        try {
          const { removed, failed } = removalOf(NAMES, text);
          expect(removed + failed.length).toBe(NAMES.length);
          for (const { name } of failed) expect(NAMES).toContain(name);
        } catch (error) {
          expect(hasCode(error, 'store_unavailable')).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

test.for([
  ['507 Insufficient Storage', 'InsufficientStorage', ''],
  ['507 Insufficient Storage', 'XMinioStorageFull', ''],
  ['403 Forbidden', 'QuotaExceeded', ''],
  ['400 Bad Request', 'XMinioAdminBucketQuotaExceeded', 'Bucket quota exceeded'],
  ['403 Forbidden', 'AccessDenied', 'Forbidden: Bucket size quota is reached, maximum total size: 1.'],
] as const)('a commit that is refused with %s %s is one of a full store', async ([status, code, message]) => {
  const body = patternBytes(1_000);
  const chunk = chunkFor(body, 'object');
  const { store } = await open(() => fault(status, code, message));
  store.trustConditions(true);
  const error = await store
    .commit(chunk, metadataFor(chunk, body), [body], { signal })
    .catch((caught: unknown) => caught);
  expect(hasCode(error, 'store_unavailable') && isStoreFull(error)).toBe(true);
});

test('a commit that is denied for another reason is not', async () => {
  const body = patternBytes(1_000);
  const chunk = chunkFor(body, 'object');
  const { store } = await open(() => fault('403 Forbidden', 'AccessDenied', 'Access Denied'));
  store.trustConditions(true);
  const error = await store
    .commit(chunk, metadataFor(chunk, body), [body], { signal })
    .catch((caught: unknown) => caught);
  expect(hasCode(error, 'store_unavailable') && isStoreFull(error)).toBe(false);
});
