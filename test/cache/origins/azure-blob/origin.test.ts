import { describe, expect, onTestFinished, test } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { openAzureOrigin } from '#cache/origins/azure-blob/origin.ts';
import type { AzureClientOptions } from '#cache/wire/azure/client.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

process.env['ORCA_TEST_AZURE_KEY'] = Buffer.from('the very secret key').toString('base64');
const { signal } = new AbortController();
const object = { originId: 'o', bucket: 'bucket', key: 'key', etag: '0x8D1-1', sizeBytes: 100 };
const range = { from: 10, to: 20 };
const TEN = '0123456789';

async function open(
  script: Script,
  over: Partial<AzureClientOptions> = {},
): Promise<{ server: ScriptedServer; origin: Origin }> {
  const server = await startScriptedServer(script);
  const origin = openAzureOrigin({
    account: 'acme',
    endpoint: `${server.endpoint}/acme`,
    caFile: '',
    credentials: { kind: 'env', accountKeyVar: 'ORCA_TEST_AZURE_KEY' },
    ...over,
  });
  onTestFinished(async () => {
    await origin.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, origin };
}

const fault = (status: string, code: string, headers = {}): Buffer =>
  reply(
    status,
    { 'x-ms-error-code': code, ...headers },
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>string to sign: secret</Message></Error>`,
  );
/** The response to a HEAD: it has the length of the blob, but no body. */
const headResponse = (headers: Record<string, string> = {}): Buffer =>
  reply('200 OK', {
    etag: '"0x8D1"',
    'content-length': '100',
    'x-ms-blob-type': 'BlockBlob',
    'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT',
    ...headers,
  });
const headError = (status: string, code: string, headers = {}): Buffer =>
  reply(status, { 'x-ms-error-code': code, 'content-length': '0', ...headers });

describe('a read', () => {
  test('requests exactly that version and range with Azure’s own ETag, signed', async () => {
    const { server, origin } = await open((_, answer) =>
      answer.write(reply('206 Partial Content', { etag: '"0x8D1"', 'content-range': 'bytes 10-19/100' }, TEN)),
    );
    const sink = collectSink();
    await origin.read(object, range, sink, { signal, requestId: 'r-1' });
    expect(sink.bytes().toString()).toBe(TEN);
    expect(server.requests[0]).toMatchObject({ method: 'GET', target: '/acme/bucket/key' });
    expect(server.requests[0]?.headers).toMatchObject({
      range: 'bytes=10-19',
      'if-match': '"0x8D1"',
      'accept-encoding': 'identity',
      'x-ms-version': '2025-11-05',
      'x-ms-client-request-id': 'r-1',
      authorization: expect.stringMatching(/^SharedKey acme:[A-Za-z0-9+/=]{44}$/) as string,
    });
  });

  const partial = (headers: Record<string, string>, body = TEN): Buffer =>
    reply('206 Partial Content', { etag: '"0x8D1"', 'content-range': 'bytes 10-19/100', ...headers }, body);

  test.for([
    ['another ETag', partial({ etag: '"0x8D2"' }), 'object_changed'],
    ['another total', partial({ 'content-range': 'bytes 10-19/101' }), 'object_changed'],
    ['a weak ETag', partial({ etag: 'W/"0x8D1"' }), 'origin_unavailable'],
    ['another start', partial({ 'content-range': 'bytes 9-18/100' }), 'origin_unavailable'],
    ["a length that is not the range's", partial({}, '012345678'), 'origin_unavailable'],
    ['a malformed range', partial({ 'content-range': 'bytes=10-19/100' }), 'origin_unavailable'],
    [
      'another length because a proxy added a coding',
      partial({ 'content-range': 'bytes 10-19/60', 'content-encoding': 'gzip' }),
      'origin_unavailable',
    ],
    ['the whole object', reply('200 OK', { etag: '"0x8D1"' }, 'x'.repeat(100)), 'origin_unavailable'],
    ['an append blob that replaced it', partial({ 'x-ms-blob-type': 'AppendBlob' }), 'origin_unsupported'],
  ] as const)('puts nothing into the sink if the response has %s', async ([, answer, code]) => {
    const { origin } = await open((_, out) => out.write(answer));
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code });
    expect(sink.lengthBytes).toBe(0);
  });

  test.for([
    ['the blob', headResponse({ etag: '"0x8D2"' }), 'object_changed'],
    ['no blob', headError('404 Not Found', 'BlobNotFound'), 'not_found'],
    ['no container', headError('404 Not Found', 'ContainerNotFound'), 'bucket_not_found'],
    ['a page blob', headResponse({ 'x-ms-blob-type': 'PageBlob' }), 'origin_unsupported'],
  ] as const)('sends a HEAD after a 412 and, if it finds %s, rejects with %s', async ([, head, code]) => {
    const { server, origin } = await open((request, out) =>
      out.write(request.method === 'HEAD' ? head : fault('412 Precondition Failed', 'ConditionNotMet')),
    );
    await expect(origin.read(object, range, collectSink(), { signal })).rejects.toMatchObject({ code });
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    expect(server.requests[1]?.headers).not.toHaveProperty('if-match');
  });
});

test.for([
  ['is the blob’s own', 'gzip', 'object'],
  ['was added by a proxy', undefined, 'origin_unavailable'],
] as const)('a HEAD determines whether a coding %s', async ([, coding, outcome]) => {
  const { server, origin } = await open((request, out) =>
    out.write(
      request.method === 'HEAD'
        ? headResponse(coding === undefined ? {} : { 'content-encoding': coding })
        : reply(
            '206 Partial Content',
            { etag: '"0x8D1"', 'content-range': 'bytes 10-19/100', 'content-encoding': 'gzip' },
            TEN,
          ),
    ),
  );
  const sink = collectSink();
  const read = origin.read(object, range, sink, { signal });
  if (outcome === 'object') await read;
  else await expect(read).rejects.toMatchObject({ code: outcome });
  expect(sink.bytes().toString()).toBe(outcome === 'object' ? TEN : '');
  expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'GET']);
});

describe('a head', () => {
  test('reports ETag, size, time and S3’s headers', async () => {
    const { origin } = await open((_, out) =>
      out.write(
        headResponse({
          'content-type': 'text/x-test',
          'content-language': 'de',
          'content-md5': 'bWQ1',
          'x-ms-meta-Mixed_Case': 'Value',
          'x-ms-access-tier': 'Cool',
          'x-ms-version-id': '2026-01-01T00:00:00.0000000Z',
          'x-ms-archive-status': 'rehydrate-pending-to-hot',
          'x-ms-creation-time': 'ignored',
        }),
      ),
    );
    expect(await origin.head('bucket', 'key', { signal })).toEqual({
      etag: '0x8D1-1',
      sizeBytes: 100,
      lastModifiedMs: Date.UTC(2015, 9, 21, 7, 28),
      headers: {
        'content-type': 'text/x-test',
        'content-language': 'de',
        'x-amz-meta-mixed_case': 'Value',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-version-id': '2026-01-01T00:00:00.0000000Z',
        'x-amz-restore': 'ongoing-request="true"',
      },
    });
  });

  test('never returns an ETag that clients could take for the MD5 of the body', async () => {
    const { origin } = await open((_, out) => out.write(headResponse({ etag: `"${'0123456789abcdef'.repeat(2)}"` })));
    expect((await origin.head('bucket', 'key', { signal })).etag).toMatch(/-1$/);
  });

  test.for([
    ['a page blob', headResponse({ 'x-ms-blob-type': 'PageBlob' }), 'origin_unsupported'],
    ['an append blob', headResponse({ 'x-ms-blob-type': 'AppendBlob' }), 'origin_unsupported'],
    ['a directory of a hierarchical account', headResponse({ 'x-ms-resource-type': 'directory' }), 'not_found'],
    ['a blob marked as a directory', headResponse({ 'x-ms-meta-hdi_isfolder': 'true' }), 'not_found'],
    ['a blob with a weak ETag', headResponse({ etag: 'W/"0x8D1"' }), 'origin_missing_etag'],
    ['no blob', headError('404 Not Found', 'BlobNotFound'), 'not_found'],
    ['no resource', headError('404 Not Found', 'ResourceNotFound'), 'not_found'],
    ['no container', headError('404 Not Found', 'ContainerNotFound'), 'bucket_not_found'],
    ['a container that is being deleted', headError('409 Conflict', 'ContainerBeingDeleted'), 'bucket_not_found'],
    [
      'a blob that needs a key of the client',
      headError('409 Conflict', 'BlobUsesCustomerSpecifiedEncryption'),
      'object_encrypted',
    ],
    ['an archived blob', headError('409 Conflict', 'BlobArchived'), 'object_archived'],
    ['a blob that is being restored', headError('409 Conflict', 'BlobBeingRehydrated'), 'object_archived'],
    ['an invalid name', headError('400 Bad Request', 'InvalidResourceName'), 'not_found'],
    ['a wrong key', headError('403 Forbidden', 'AuthenticationFailed'), 'origin_denied'],
    ['a missing role', headError('403 Forbidden', 'AuthorizationPermissionMismatch'), 'origin_denied'],
    ['no credentials', headError('401 Unauthorized', 'NoAuthenticationInformation'), 'origin_denied'],
    ['a closed account', headError('409 Conflict', 'PublicAccessNotPermitted'), 'origin_denied'],
    ['a busy server', headError('503 Server Busy', 'ServerBusy'), 'origin_throttled'],
    ['429', headError('429 Too Many Requests', ''), 'origin_throttled'],
    ['an internal error', headError('500 Internal Server Error', 'InternalError'), 'origin_unavailable'],
    ['a timeout', headError('500 Operation Timed Out', 'OperationTimedOut'), 'origin_unavailable'],
    ['a redirect', headError('302 Found', ''), 'origin_unavailable'],
  ] as const)('of %s rejects with %s', async ([, answer, code]) => {
    const { origin } = await open((_, out) => out.write(answer));
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code });
  });

  test('reports bucket_not_found for an invalid container name', async () => {
    const { origin } = await open((_, out) => out.write(headError('400 Bad Request', 'InvalidResourceName')));
    await expect(origin.head('not.a.container', 'key', { signal })).rejects.toMatchObject({ code: 'bucket_not_found' });
  });

  test('passes on the Retry-After of the server', async () => {
    const { origin } = await open((_, out) =>
      out.write(headError('503 Server Busy', 'ServerBusy', { 'retry-after': '7' })),
    );
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({
      code: 'origin_throttled',
      retryAfterMs: 7000,
    });
  });
});

describe('a version', () => {
  const VERSION = '2026-01-01T00:00:00.0000000Z';
  const head = async (answer: Buffer, versionId: string) => {
    const { server, origin } = await open((_, out) => out.write(answer));
    const looked = origin.head('bucket', 'key', { signal }, versionId);
    await looked.catch(() => {});
    return { server, looked };
  };

  test('is requested by its ID', async () => {
    const { server, looked } = await head(headResponse({ 'x-ms-version-id': VERSION }), VERSION);
    expect(await looked).toMatchObject({ headers: { 'x-amz-version-id': VERSION } });
    expect(server.requests[0]?.target).toBe('/acme/bucket/key?versionid=2026-01-01T00%3A00%3A00.0000000Z');
  });

  test('is read by its ID', async () => {
    const { server, origin } = await open((_, answer) =>
      answer.write(reply('206 Partial Content', { etag: '"0x8D1"', 'content-range': 'bytes 10-19/100' }, TEN)),
    );
    await origin.read({ ...object, versionId: VERSION }, range, collectSink(), { signal });
    expect(server.requests[0]?.target).toBe('/acme/bucket/key?versionid=2026-01-01T00%3A00%3A00.0000000Z');
  });

  test('that does not exist is version_not_found', async () => {
    const { looked } = await head(headError('404 Not Found', 'BlobNotFound'), VERSION);
    await expect(looked).rejects.toMatchObject({ code: 'version_not_found' });
  });

  test('with an ID that Azure never assigns is version_invalid, without a request', async () => {
    const { server, looked } = await head(headResponse(), 'nonsense');
    await expect(looked).rejects.toMatchObject({ code: 'version_invalid' });
    expect(server.requests).toHaveLength(0);
  });

  test('null is a blob without a version, and no other', async () => {
    const { server, looked } = await head(headResponse(), 'null');
    expect(await looked).toMatchObject({ sizeBytes: 100 });
    expect(server.requests[0]?.target).toBe('/acme/bucket/key');
    const versioned = await head(headResponse({ 'x-ms-version-id': VERSION }), 'null');
    await expect(versioned.looked).rejects.toMatchObject({ code: 'version_not_found' });
  });
});

describe('a probe', () => {
  test.for([
    ['the blob', reply('206 Partial Content', { 'content-range': 'bytes 0-0/5' }, 'x')],
    ['an empty blob', fault('416 Range Not Satisfiable', 'InvalidRange')],
    ['no blob', fault('404 Not Found', 'BlobNotFound')],
  ] as const)('that finds %s reports the bucket as reachable', async ([, answer]) => {
    const { server, origin } = await open((_, out) => out.write(answer));
    expect(await origin.probe('bucket', 'pre/', { signal })).toBe('reachable');
    expect(server.requests[0]).toMatchObject({ method: 'GET', target: '/acme/bucket/pre/_orca-probe' });
    expect(server.requests[0]?.headers).toMatchObject({ range: 'bytes=0-0' });
  });

  test('with rejected credentials fails', async () => {
    const { origin } = await open((_, out) => out.write(fault('403 Forbidden', 'AuthorizationFailure')));
    await expect(origin.probe('bucket', '', { signal })).rejects.toMatchObject({ code: 'origin_denied' });
  });
});

test('a blob has one part, the whole blob', async () => {
  const { server, origin } = await open(() => undefined);
  expect(await origin.part(object, 1, { signal })).toEqual({ range: { from: 0, to: 100 }, count: undefined });
  await expect(origin.part(object, 2, { signal })).rejects.toMatchObject({ code: 'part_not_found' });
  expect(server.requests).toHaveLength(0);
});

describe('secrets', () => {
  const failures = async (origin: Origin): Promise<string> => {
    const errors = await Promise.all(
      [origin.head('bucket', 'key', { signal }), origin.read(object, range, collectSink(), { signal })].map((call) =>
        call.then(
          () => 'no error',
          (error: unknown) => error,
        ),
      ),
    );
    return errors.map((error) => `${String(error)} ${String((error as Error).cause)} ${JSON.stringify(error)}`).join();
  };

  test('are not in errors, even if the service repeats them', async () => {
    const { server, origin } = await open((_, out) => out.write(fault('403 Forbidden', 'AuthenticationFailed')));
    const text = await failures(origin);
    const signature = server.requests[0]?.headers['authorization']?.split(':')[1] ?? 'none';
    expect(text).toContain('AuthenticationFailed');
    expect(text).not.toContain(signature);
    expect(text).not.toContain('secret');
  });

  test('in a SAS token are sent in the query only; an expired token is reported', async () => {
    const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
    const directory = await mkdtemp('/tmp/orca-sas-');
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    await writeFile(`${directory}/sas-token`, 'sv=2025-11-05&se=2020-01-01&sig=verysecret');
    const { server, origin } = await open((_, out) => out.write(fault('403 Forbidden', 'AuthenticationFailed')), {
      credentials: { kind: 'directory', path: directory },
    });
    const text = await failures(origin);
    expect(server.requests[0]?.target).toBe('/acme/bucket/key?sv=2025-11-05&se=2020-01-01&sig=verysecret');
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(text).toContain('the SAS token expired at 2020-01-01');
    expect(text).not.toContain('verysecret');
  });

  test('are not sent to a public container by any call', async () => {
    const { server, origin } = await open(
      ({ method, target }, out) =>
        out.write(
          target.includes('comp=list')
            ? reply('200 OK', {}, '<EnumerationResults><Blobs></Blobs><NextMarker /></EnumerationResults>')
            : method === 'HEAD'
              ? 'HTTP/1.1 200 OK\r\netag: "0x8D1"\r\ncontent-length: 100\r\n\r\n'
              : reply('206 Partial Content', { etag: '"0x8D1"', 'content-range': 'bytes 10-19/100' }, TEN),
        ),
      { credentials: { kind: 'anonymous' } },
    );
    await origin.head('bucket', 'key', { signal });
    await origin.read(object, range, collectSink(), { signal });
    await origin.list('bucket', { prefix: '', delimiter: '', after: '', maxKeys: 10 }, { signal });
    await origin.probe('bucket', '', { signal });
    expect(server.requests).toHaveLength(4);
    for (const { headers } of server.requests) expect(headers).not.toHaveProperty('authorization');
  });
});
