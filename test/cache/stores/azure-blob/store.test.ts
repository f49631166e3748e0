import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeMetadata } from '#cache/core/chunk-metadata.ts';
import type { ProbedStore } from '#cache/engine/ports.ts';
import { metadataHeaders } from '#cache/stores/azure-blob/store.ts';
import { chunkFor, metadataFor, patternBytes, piecesOf } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { openScriptedAzure } from '#test/support/scripted-azure.ts';
import { reply, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

const { signal } = new AbortController();
const body = patternBytes(3_000_000, 4);
const chunk = chunkFor(body, 'object');
const metadata = metadataFor(chunk, body);
const pieces = piecesOf(body, 1_000_001);

async function open(script: Script): Promise<{ server: ScriptedServer; store: ProbedStore }> {
  const opened = await openScriptedAzure(script);
  opened.store.trustConditions(true);
  return opened;
}

const refused = (status: string, code: string): Buffer => reply(status, { 'x-ms-error-code': code });
const created = reply('201 Created', {});
const stored = (fields = encodeMetadata(metadata), lengthBytes = body.length): Buffer =>
  reply('200 OK', { 'content-length': String(lengthBytes), ...metadataHeaders(fields) });

describe('a commit', () => {
  test('is one conditional Put Blob with an MD5 and valid names of metadata', async () => {
    const { server, store } = await open((_, out) => out.write(created));
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    const [request] = server.requests;
    expect(server.requests).toHaveLength(1);
    expect(request).toMatchObject({ method: 'PUT', target: `/acme/chunks/${chunk.path}` });
    expect(request?.body.equals(body)).toBe(true);
    expect(request?.headers).toMatchObject({
      'if-none-match': '*',
      'x-ms-blob-type': 'BlockBlob',
      'content-md5': createHash('md5').update(body).digest('base64'),
      'content-length': String(body.length),
      'x-ms-meta-orca_version': '1',
    });
    const names = Object.keys(request?.headers ?? {}).filter((name) => name.startsWith('x-ms-meta-'));
    // C# identifiers.
    for (const name of names) expect(name.slice('x-ms-meta-'.length)).toMatch(/^[a-z_][a-z0-9_]*$/);
  });

  test('that repairs a chunk is unconditional', async () => {
    const { server, store } = await open((_, out) => out.write(created));
    expect(await store.commit(chunk, metadata, pieces, { signal, overwrite: true })).toBe('won');
    expect(server.requests[0]?.headers).not.toHaveProperty('if-none-match');
    expect(server.requests[0]?.headers).toHaveProperty('content-md5');
  });

  test.for([
    ['409 Conflict', 'BlobAlreadyExists'],
    ['412 Precondition Failed', 'ConditionNotMet'],
  ] as const)(
    'answered with %s %s queries the blob: it loses to the same chunk and replaces another',
    async ([status, code]) => {
      for (const [head, outcome, methods] of [
        [stored(), 'lost', ['PUT', 'HEAD']],
        [stored({ ...encodeMetadata(metadata), 'orca-crc32': '00000000' }), 'won', ['PUT', 'HEAD', 'PUT']],
        [stored(encodeMetadata(metadata), 7), 'won', ['PUT', 'HEAD', 'PUT']],
        [stored({ ...encodeMetadata(metadata), 'orca-length': '17' }), 'won', ['PUT', 'HEAD', 'PUT']],
      ] as const) {
        const { server, store } = await open((request, out) => {
          const isConditional = 'if-none-match' in request.headers;
          out.write(request.method === 'HEAD' ? head : isConditional ? refused(status, code) : created);
        });
        expect(await store.commit(chunk, metadata, pieces, { signal })).toBe(outcome);
        expect(server.requests.map(({ method }) => method)).toEqual(methods);
      }
    },
  );

  test('is tried again if the competing blob has been deleted before the query', async () => {
    let puts = 0;
    const { store } = await open((request, out) => {
      if (request.method === 'HEAD') out.write(refused('404 Not Found', 'BlobNotFound'));
      else out.write(++puts === 1 ? refused('409 Conflict', 'BlobAlreadyExists') : created);
    });
    expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
    expect(puts).toBe(2);
  });

  test.for([
    ['400 Bad Request', 'Md5Mismatch', 400],
    ['403 Forbidden', 'AuthorizationPermissionMismatch', 403],
    ['404 Not Found', 'ContainerNotFound', 404],
    ['409 Conflict', 'ContainerBeingDeleted', 409],
    ['409 Conflict', 'InvalidBlobType', 409],
    ['500 Internal Server Error', 'InternalError', 500],
    ['503 Server Busy', 'ServerBusy', 503],
  ] as const)('answered with %s %s fails with its status', async ([status, code, number]) => {
    const { server, store } = await open((_, out) => out.write(refused(status, code)));
    await expect(store.commit(chunk, metadata, pieces, { signal })).rejects.toMatchObject({
      code: 'store_unavailable',
      status: number,
    });
    expect(server.requests).toHaveLength(1);
  });
});

test('until conditions are trusted, a commit queries first and writes unconditionally', async () => {
  const { server, store } = await open((request, out) =>
    out.write(request.method === 'HEAD' ? refused('404 Not Found', 'BlobNotFound') : created),
  );
  store.trustConditions(false);
  expect(await store.commit(chunk, metadata, pieces, { signal })).toBe('won');
  expect(server.requests.map(({ method }) => method)).toEqual(['HEAD', 'PUT']);
  expect(server.requests[1]?.headers).not.toHaveProperty('if-none-match');
});

describe('a read', () => {
  const range = { from: 10, to: 20 };
  const partial = (headers: Record<string, string>, bytes = body.subarray(10, 20)): Buffer =>
    reply('206 Partial Content', { 'content-range': `bytes 10-19/${body.length}`, ...headers }, bytes);

  test.for([
    ['a coding', partial({ 'content-encoding': 'gzip' }), 'store_unavailable'],
    ['another range', partial({ 'content-range': `bytes 9-18/${body.length}` }), 'store_unavailable'],
    ['another total', partial({ 'content-range': 'bytes 10-19/20' }), 'chunk_bad'],
    ["another object's ETag", partial(metadataHeaders(encodeMetadata({ ...metadata, etag: 'another' }))), 'chunk_bad'],
    ['416', refused('416 Range Not Satisfiable', 'InvalidRange'), 'chunk_bad'],
    ['no blob', refused('404 Not Found', 'BlobNotFound'), 'chunk_missing'],
    ['no container', refused('404 Not Found', 'ContainerNotFound'), 'store_unavailable'],
    ['403', refused('403 Forbidden', 'AuthenticationFailed'), 'store_unavailable'],
  ] as const)('answered with %s is %s', async ([, answer, code]) => {
    const { store } = await open((_, out) => out.write(answer));
    const sink = collectSink();
    await expect(store.read(chunk, range, sink, () => undefined, { signal })).rejects.toMatchObject({ code });
    expect(sink.lengthBytes).toBe(0);
  });
});
