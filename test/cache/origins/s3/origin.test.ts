import { describe, expect, onTestFinished, test } from 'vitest';
import type { Origin } from '#cache/engine/ports.ts';
import { openS3Origin } from '#cache/origins/s3/origin.ts';
import type { S3ClientOptions } from '#cache/wire/s3/client.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';

process.env['ORCA_TEST_KEY'] = 'key';
const { signal } = new AbortController();
const object = { originId: 'o', bucket: 'bucket', key: 'key', etag: 'e1', sizeBytes: 100 };
const range = { from: 10, to: 20 };
const TEN = '0123456789';

async function open(
  script: Script,
  over: Partial<S3ClientOptions> = {},
): Promise<{ server: ScriptedServer; origin: Origin }> {
  const server = await startScriptedServer(script);
  const origin = openS3Origin({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    caFile: '',
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_KEY' },
    ...over,
  });
  onTestFinished(async () => {
    await origin.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, origin };
}

const fault = (status: string, code: string, headers = {}): Buffer =>
  reply(status, headers, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>why</Message></Error>`);
const bodiless = (status: string, headers: Record<string, string> = {}): Buffer => reply(status, headers);

describe('the check of the owner', () => {
  const check = async (answer: Buffer, key = 'key') => {
    const { server, origin } = await open((_, socket) => socket.write(answer));
    const checked = origin.checkOwner('bucket', key, '123456789012', { signal });
    await checked.catch(() => {});
    expect(server.requests[0]).toMatchObject({ method: 'HEAD', target: `/bucket/${key}` });
    expect(server.requests[0]?.headers).toMatchObject({ 'x-amz-expected-bucket-owner': '123456789012' });
    return checked;
  };

  test('requests the key or the bucket; a missing key counts as allowed', async () => {
    await check(bodiless('200 OK'));
    await check(bodiless('200 OK'), '');
    await check(bodiless('404 Not Found'));
  });

  test.for([
    ['403 Forbidden', 'access_denied'],
    ['400 Bad Request', 'invalid_argument'],
    ['500 Internal Server Error', 'origin_unavailable'],
  ] as const)('maps %s to %s', async ([status, code]) => {
    await expect(check(bodiless(status))).rejects.toMatchObject({ code });
  });
});

test('the head of an object that needs a key of the client is object_encrypted', async () => {
  const headers = {
    etag: '"e1"',
    'content-length': '3',
    'x-amz-server-side-encryption-customer-algorithm': 'AES256',
  };
  const { origin } = await open((_, socket) => socket.write(bodiless('200 OK', headers)));
  await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'object_encrypted' });
});

describe('a version', () => {
  const head = async (answer: Buffer, versionId: string) => {
    const { server, origin } = await open((_, socket) => socket.write(answer));
    const looked = origin.head('bucket', 'key', { signal }, versionId);
    await looked.catch(() => {});
    return { server, looked };
  };
  const good = { etag: '"e1"', 'content-length': '3' };

  test('is requested by its ID, percent-encoded', async () => {
    const { server, looked } = await head(bodiless('200 OK', { ...good, 'x-amz-version-id': 'v+/=&?' }), 'v+/=&?');
    expect(await looked).toMatchObject({ etag: 'e1', sizeBytes: 3 });
    expect(server.requests[0]?.target).toBe('/bucket/key?versionId=v%2B%2F%3D%26%3F');
  });

  test.for([
    ['another version', 'v1', { 'x-amz-version-id': 'v2' }],
    ['the current object of a server without versions', 'v1', {}],
    ['a version in place of the null version', 'null', { 'x-amz-version-id': 'v2' }],
  ] as const)('answered with %s is rejected', async ([, versionId, headers]) => {
    const { looked } = await head(bodiless('200 OK', { ...good, ...headers }), versionId);
    await expect(looked).rejects.toMatchObject({ code: 'not_implemented' });
  });

  test('may be the null version of a bucket that never had versions', async () => {
    const { looked } = await head(bodiless('200 OK', good), 'null');
    expect(await looked).toMatchObject({ etag: 'e1' });
  });

  test('that is a delete marker is rejected with what S3 reports about it', async () => {
    const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'v1', allow: 'DELETE' };
    const { looked } = await head(bodiless('405 Method Not Allowed', headers), 'v1');
    await expect(looked).rejects.toMatchObject({ code: 'delete_marker', headers });
  });
});

describe('a part', () => {
  const good = { etag: '"e1"', 'content-range': 'bytes 10-19/100', 'x-amz-mp-parts-count': '3' };
  const request = async (answer: Buffer, of = object) => {
    const { server, origin } = await open((_, socket) => socket.write(answer));
    const part = origin.part(of, 2, { signal });
    await part.catch(() => {});
    expect(server.requests[0]).toMatchObject({ method: 'HEAD', target: '/bucket/key?partNumber=2' });
    expect(server.requests[0]?.headers).toMatchObject({ 'if-match': '"e1"' });
    return part;
  };

  test('has the range and the count that the origin reports', async () => {
    expect(await request(bodiless('206 Partial Content', good))).toEqual({ range, count: 3 });
    const { 'x-amz-mp-parts-count': _, ...uncounted } = good;
    expect(await request(bodiless('206 Partial Content', uncounted))).toEqual({ range, count: undefined });
    const empty = { etag: '"e1"', 'x-amz-mp-parts-count': '1' };
    const nothing = { range: { from: 0, to: 0 }, count: 1 };
    expect(await request(bodiless('200 OK', empty), { ...object, sizeBytes: 0 })).toEqual(nothing);
  });

  test('has the checksum that the origin reports for it, which is requested', async () => {
    const { server, origin } = await open((_, socket) =>
      socket.write(bodiless('206 Partial Content', { ...good, 'x-amz-checksum-crc32': 'AAAAAA==' })),
    );
    expect(await origin.part({ ...object, versionId: 'v/1' }, 2, { signal })).toEqual({
      range,
      count: 3,
      checksums: { 'x-amz-checksum-crc32': 'AAAAAA==' },
    });
    expect(server.requests[0]?.headers).toMatchObject({ 'x-amz-checksum-mode': 'ENABLED' });
    expect(server.requests[0]?.target).toBe('/bucket/key?partNumber=2&versionId=v%2F1');
  });

  test.for([
    ['the whole object, by an origin without parts', bodiless('200 OK', { etag: '"e1"' }), 'not_implemented'],
    ['another ETag', bodiless('206 Partial Content', { ...good, etag: '"e2"' }), 'object_changed'],
    ['another version', bodiless('412 Precondition Failed'), 'object_changed'],
    [
      'another size',
      bodiless('206 Partial Content', { ...good, 'content-range': 'bytes 10-19/99' }),
      'origin_unavailable',
    ],
    [
      'a range beyond the end',
      bodiless('206 Partial Content', { ...good, 'content-range': 'bytes 90-109/100' }),
      'origin_unavailable',
    ],
    ['no such part', bodiless('416 Range Not Satisfiable'), 'part_not_found'],
    ['a failure', bodiless('500 Internal Server Error'), 'origin_unavailable'],
  ] as const)('answered with %s is rejected', async ([, answer, code]) => {
    await expect(request(answer)).rejects.toMatchObject({ code });
  });
});

describe('a read', () => {
  test('requests exactly that version and range, signed, without a content coding', async () => {
    const { server, origin } = await open((_, answer) =>
      answer.write(reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 10-19/100' }, TEN)),
    );
    const sink = collectSink();
    await origin.read(object, range, sink, { signal, requestId: 'r-1' });
    expect(sink.bytes().toString()).toBe(TEN);
    expect(server.requests[0]).toMatchObject({ method: 'GET', target: '/bucket/key' });
    expect(server.requests[0]?.headers).toMatchObject({
      range: 'bytes=10-19',
      'if-match': '"e1"',
      'accept-encoding': 'identity',
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-request-id': 'r-1',
      authorization: expect.stringMatching(
        /SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date,/,
      ) as unknown,
    });
  });

  const partial = (headers: Record<string, string>, body = TEN): Buffer =>
    reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 10-19/100', ...headers }, body);

  test.for([
    ['another ETag', partial({ etag: '"e2"' }), 'object_changed'],
    ['another total', partial({ 'content-range': 'bytes 10-19/101' }), 'object_changed'],
    ['a weak ETag', partial({ etag: 'W/"e1"' }), 'origin_unavailable'],
    ['another start', partial({ 'content-range': 'bytes 9-18/100' }), 'origin_unavailable'],
    ['another end', partial({ 'content-range': 'bytes 10-18/100' }, '012345678'), 'origin_unavailable'],
    ["a length that is not the range's", partial({}, '012345678'), 'origin_unavailable'],
    ['an unknown total', partial({ 'content-range': 'bytes 10-19/*' }), 'origin_unavailable'],
    ['a malformed range', partial({ 'content-range': 'bytes=10-19/100' }), 'origin_unavailable'],
    [
      'another length because a proxy added a coding',
      partial({ 'content-range': 'bytes 10-19/60', 'content-encoding': 'gzip' }),
      'origin_unavailable',
    ],
    ['no Content-Range', reply('206 Partial Content', { etag: '"e1"' }, TEN), 'origin_unavailable'],
    ['no ETag', reply('206 Partial Content', { 'content-range': 'bytes 10-19/100' }, TEN), 'origin_unavailable'],
    ['the whole object', reply('200 OK', { etag: '"e1"' }, 'x'.repeat(100)), 'origin_unavailable'],
    ['the whole of a shorter object', reply('200 OK', { etag: '"e1"' }, 'x'.repeat(99)), 'object_changed'],
    ['204', bodiless('204 No Content', { etag: '"e1"' }), 'origin_unavailable'],
    ['412', fault('412 Precondition Failed', 'PreconditionFailed'), 'object_changed'],
    ['416', fault('416 Range Not Satisfiable', 'InvalidRange'), 'object_changed'],
    ['no key', fault('404 Not Found', 'NoSuchKey'), 'not_found'],
    ['no bucket', fault('404 Not Found', 'NoSuchBucket'), 'bucket_not_found'],
    ['access denied', fault('403 Forbidden', 'AccessDenied'), 'access_denied'],
    ['rejected credentials', fault('403 Forbidden', 'InvalidAccessKeyId'), 'origin_denied'],
    ['an expired token', fault('400 Bad Request', 'ExpiredToken'), 'origin_denied'],
    ['401', bodiless('401 Unauthorized'), 'origin_denied'],
    ['an archived object', fault('403 Forbidden', 'InvalidObjectState'), 'object_archived'],
    [
      'an object that needs a key of the client',
      reply(
        '400 Bad Request',
        {},
        '<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.</Message></Error>',
      ),
      'object_encrypted',
    ],
    [
      'the same by Google Cloud Storage',
      fault('400 Bad Request', 'ResourceIsEncryptedWithCustomerEncryptionKey'),
      'object_encrypted',
    ],
    [
      'another region',
      fault('301 Moved Permanently', 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' }),
      'origin_wrong_region',
    ],
    ['a temporary redirect', fault('307 Temporary Redirect', 'TemporaryRedirect'), 'origin_unavailable'],
    ['SlowDown', fault('503 Slow Down', 'SlowDown'), 'origin_throttled'],
    ['429', bodiless('429 Too Many Requests'), 'origin_throttled'],
    ['503', fault('503 Service Unavailable', 'ServiceUnavailable'), 'origin_unavailable'],
    ['500', fault('500 Internal Server Error', 'InternalError'), 'origin_unavailable'],
    ['an unknown status', fault('418 Teapot', 'Teapot'), 'origin_unsupported'],
    ['bytes that are not HTTP', Buffer.from('hello\r\n\r\n'), 'origin_unavailable'],
  ] as const)('answered with %s puts nothing into the sink', async ([, bytes, code]) => {
    const { origin } = await open((_, answer) => answer.write(bytes));
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code });
    expect(sink.lengthBytes).toBe(0);
  });

  test('may get 200 for the whole object', async () => {
    const { origin } = await open((_, answer) => answer.write(reply('200 OK', { etag: '"e1"' }, 'x'.repeat(100))));
    const sink = collectSink();
    await origin.read(object, { from: 0, to: 100 }, sink, { signal });
    expect(sink.lengthBytes).toBe(100);
  });

  describe('with a content coding', () => {
    const headAnswer = (headers: Record<string, string>): Buffer =>
      reply('200 OK', { 'content-length': '100', ...headers });
    /** Answers a HEAD with the headers `stored`, and a read with `sent`. */
    const openCoded = (stored: Record<string, string>, sent: Record<string, string>) =>
      open(({ method }, answer) =>
        answer.write(method === 'HEAD' ? headAnswer({ etag: '"e1"', ...stored }) : partial(sent)),
      );
    const methods = ({ requests }: ScriptedServer): string[] => requests.map(({ method }) => method);
    const GZIP = { 'content-encoding': 'gzip' };

    test('that the HEAD reported passes the stored bytes on', async () => {
      const { server, origin } = await openCoded(GZIP, GZIP);
      await origin.head('bucket', 'key', { signal });
      const sink = collectSink();
      await origin.read(object, range, sink, { signal });
      expect(sink.bytes().toString()).toBe(TEN);
      expect(methods(server)).toEqual(['HEAD', 'GET']);
    });

    test('that is unknown here is queried once', async () => {
      const { server, origin } = await openCoded(GZIP, { 'content-encoding': 'GZIP' });
      for (let read = 0; read < 2; read++) {
        const sink = collectSink();
        await origin.read(object, range, sink, { signal });
        expect(sink.bytes().toString()).toBe(TEN);
      }
      expect(methods(server)).toEqual(['GET', 'HEAD', 'GET', 'GET']);
    });

    test.for([
      ['that a proxy added', {}, GZIP],
      ['that a proxy removed', GZIP, {}],
      ['that differs from the stored one', { 'content-encoding': 'br' }, GZIP],
    ] as const)('%s is rejected although every length is right', async ([, stored, sent]) => {
      const { origin } = await openCoded(stored, sent);
      await origin.head('bucket', 'key', { signal });
      const sink = collectSink();
      await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
      expect(sink.lengthBytes).toBe(0);
    });

    test('that only applies to the upload is ignored', async () => {
      const { server, origin } = await openCoded({}, { 'content-encoding': 'aws-chunked' });
      await origin.read(object, range, collectSink(), { signal });
      expect(methods(server)).toEqual(['GET']);
    });

    test('is object_changed if the object has been replaced', async () => {
      const { origin } = await openCoded({ etag: '"e2"', ...GZIP }, GZIP);
      await expect(origin.read(object, range, collectSink(), { signal })).rejects.toMatchObject({
        code: 'object_changed',
      });
    });
  });

  test('that is truncated is origin_unavailable with its cause', async () => {
    const { origin } = await open((_, answer) => {
      answer.write(
        'HTTP/1.1 206 OK\r\netag: "e1"\r\ncontent-range: bytes 10-19/100\r\ncontent-length: 10\r\n\r\n01234',
      );
      answer.end();
    });
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({
      code: 'origin_unavailable',
      cause: { failure: 'closed' },
    });
    expect(sink.bytes().toString()).toBe('01234');
  });

  test('without a first byte in time is origin_unavailable', async () => {
    const { origin } = await open(() => undefined);
    await expect(origin.read(object, range, collectSink(), { signal, firstByteTimeoutMs: 30 })).rejects.toMatchObject({
      code: 'origin_unavailable',
      cause: { failure: 'first_byte' },
    });
  });

  test('passes on the Retry-After of the origin', async () => {
    const { origin } = await open((_, answer) =>
      answer.write(fault('503 Slow Down', 'SlowDown', { 'retry-after': '7' })),
    );
    await expect(origin.read(object, range, collectSink(), { signal })).rejects.toMatchObject({
      retryAfterMs: 7000,
      status: 503,
    });
  });
});

describe('a head', () => {
  const good = {
    etag: '"e1"',
    'last-modified': 'Fri, 24 May 2013 00:00:01 GMT',
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
  };
  const ok = (headers: Record<string, string>): string =>
    `HTTP/1.1 200 OK\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`;

  test('is one request', async () => {
    const { server, origin } = await open((_, answer) => answer.write(ok({ ...good, 'content-length': '100' })));
    expect(await origin.head('bucket', 'key', { signal })).toEqual({
      etag: 'e1',
      sizeBytes: 100,
      lastModifiedMs: Date.UTC(2013, 4, 24, 0, 0, 1),
      headers: { 'content-type': 'text/plain', 'x-amz-meta-a': 'b' },
    });
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });

  test.for([
    ['a weak ETag', { ...good, etag: 'W/"e1"', 'content-length': '1' }, 'origin_missing_etag'],
    ['an empty ETag', { ...good, etag: '""', 'content-length': '1' }, 'origin_missing_etag'],
    ['no length', good, 'origin_unavailable'],
  ] as const)('with %s is rejected', async ([, headers, code]) => {
    const { origin } = await open((_, answer) => answer.write(ok(headers)));
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code });
  });

  test('with an unquoted ETag is accepted', async () => {
    const { origin } = await open((_, answer) => answer.write(ok({ ...good, etag: 'bare-1', 'content-length': '1' })));
    expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ etag: 'bare-1' });
  });

  test.for([
    ['403', fault('403 Forbidden', 'AccessDenied'), 'access_denied'],
    ['403', fault('403 Forbidden', 'SignatureDoesNotMatch'), 'origin_denied'],
    ['400', fault('400 Bad Request', 'ExpiredToken'), 'origin_denied'],
    ['400', fault('400 Bad Request', 'KeyTooLongError'), 'not_found'],
    ['404', fault('404 Not Found', 'NoSuchKey'), 'not_found'],
    ['404', fault('404 Not Found', 'NoSuchBucket'), 'bucket_not_found'],
    ['403', reply('206 Partial Content', { 'content-range': 'bytes 0-0/5' }, 'x'), 'origin_unavailable'],
  ] as const)('answered with %s reads one byte to get the error code', async ([status, explanation, code]) => {
    const { server, origin } = await open(({ method }, answer) =>
      answer.write(method === 'HEAD' ? bodiless(`${status} Refused`) : explanation),
    );
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code });
    expect(server.requests.map(({ method, headers }) => [method, headers['range']])).toEqual([
      ['HEAD', undefined],
      ['GET', 'bytes=0-0'],
    ]);
  });

  test('is one request if the key is missing in a known bucket', async () => {
    const { server, origin } = await open(({ target }, answer) =>
      answer.write(target.endsWith('/there') ? ok({ ...good, 'content-length': '1' }) : bodiless('404 Not Found')),
    );
    await origin.head('bucket', 'there', { signal });
    await expect(origin.head('bucket', 'missing', { signal })).rejects.toMatchObject({ code: 'not_found' });
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
  });

  test.for([
    ['503', {}, 'origin_unavailable'],
    ['503', { 'retry-after': '2' }, 'origin_throttled'],
    ['500', {}, 'origin_unavailable'],
    ['301', { 'x-amz-bucket-region': 'eu-west-1' }, 'origin_wrong_region'],
  ] as const)('answered with %s %j is one request', async ([status, headers, code]) => {
    const { server, origin } = await open((_, answer) => answer.write(bodiless(`${status} Refused`, headers)));
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code });
    expect(server.requests).toHaveLength(1);
  });
});

describe('a probe', () => {
  test.for([
    ['206', reply('206 Partial Content', { 'content-range': 'bytes 0-0/5' }, 'x'), 'reachable'],
    ['416', fault('416 Range Not Satisfiable', 'InvalidRange'), 'reachable'],
    ['NoSuchKey', fault('404 Not Found', 'NoSuchKey'), 'reachable'],
    ['AccessDenied', fault('403 Forbidden', 'AccessDenied'), 'list_denied'],
  ] as const)('answered with %s succeeds', async ([, bytes, verdict]) => {
    const { server, origin } = await open((_, answer) => answer.write(bytes));
    expect(await origin.probe('bucket', 'a/', { signal })).toBe(verdict);
    expect(server.requests[0]).toMatchObject({ target: '/bucket/a/_orca-probe', headers: { range: 'bytes=0-0' } });
  });

  test.for([
    ['NoSuchBucket', fault('404 Not Found', 'NoSuchBucket'), 'bucket_not_found'],
    ['InvalidAccessKeyId', fault('403 Forbidden', 'InvalidAccessKeyId'), 'origin_denied'],
    ['500', bodiless('500 Oops'), 'origin_unavailable'],
  ] as const)('answered with %s fails', async ([, bytes, code]) => {
    const { origin } = await open((_, answer) => answer.write(bytes));
    await expect(origin.probe('bucket', '', { signal })).rejects.toMatchObject({ code });
  });
});

describe('addressing', () => {
  const head = (_: unknown, answer: { write(data: string): void }): void =>
    answer.write('HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 0\r\n\r\n');

  test.for([
    ['plain', '/bucket/plain'],
    ['a b(1)+%25é//../.', '/bucket/a%20b%281%29%2B%2525%C3%A9//../.'],
    ['k'.repeat(1024), `/bucket/${'k'.repeat(1024)}`],
    ['/leading', '/bucket//leading'],
    ['trailing/', '/bucket/trailing/'],
  ] as const)('a key is sent unchanged (%#)', async ([key, target]) => {
    const { server, origin } = await open(head);
    await origin.head('bucket', key, { signal });
    expect(server.requests[0]?.target).toBe(target);
  });
});

test('missing credentials are origin_denied and name the file', async () => {
  const { server, origin } = await open(() => undefined, { credentials: { kind: 'directory', path: '/nowhere' } });
  await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({
    code: 'origin_denied',
    message: expect.stringContaining('/nowhere/access-key-id') as unknown,
  });
  expect(server.requests).toHaveLength(0);
});

test('errors contain no secret', async () => {
  process.env['ORCA_TEST_SECRET'] = 'very-secret-value';
  const { origin } = await open((_, answer) => answer.write(fault('403 Forbidden', 'SignatureDoesNotMatch')), {
    credentials: { kind: 'env', accessKeyIdVar: 'ORCA_TEST_KEY', secretAccessKeyVar: 'ORCA_TEST_SECRET' },
  });
  const failure = await origin.read(object, range, collectSink(), { signal }).catch((error: unknown) => error);
  const { inspect } = await import('node:util');
  expect(inspect(failure, { depth: 10, showHidden: true })).not.toMatch(/very-secret|Signature=/);
});

describe('a bucket in another region', () => {
  const REGION = {
    code: 'origin_wrong_region',
    message: 'the origin has bucket bucket in region eu-west-1: set origin.s3.region',
    fields: { Region: 'eu-west-1' },
  };
  const malformed = reply(
    '400 Bad Request',
    {},
    '<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-west-1</Region></Error>',
  );
  const moved = fault('301 Moved Permanently', 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' });

  test.for([
    ['301', moved],
    ['400', malformed],
  ] as const)('%s is reported by every call with its region', async ([, bytes]) => {
    const { origin } = await open(({ method }, answer) =>
      answer.write(method === 'HEAD' ? bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4) : bytes),
    );
    const call = { signal };
    await expect(origin.head('bucket', 'key', call)).rejects.toMatchObject(REGION);
    await expect(origin.read(object, range, collectSink(), call)).rejects.toMatchObject(REGION);
    await expect(origin.probe('bucket', '', call)).rejects.toMatchObject(REGION);
    const query = { prefix: '', delimiter: '', after: '', maxKeys: 10 };
    await expect(origin.list('bucket', query, call)).rejects.toMatchObject(REGION);
  });

  test('a redirect without a region is another matter', async () => {
    const { origin } = await open((_, answer) =>
      answer.write(reply('301 Moved Permanently', { location: 'https://elsewhere.example.org/' })),
    );
    await expect(origin.probe('bucket', '', { signal })).rejects.toMatchObject({
      code: 'origin_unsupported',
      message: expect.stringContaining('origin.s3.endpoint') as unknown,
    });
  });
});

describe('a request', () => {
  const answered: Script = ({ method, target }, answer) =>
    answer.write(
      target.includes('list-type')
        ? reply('200 OK', {}, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>')
        : method === 'HEAD'
          ? 'HTTP/1.1 200 OK\r\netag: "e1"\r\ncontent-length: 100\r\n\r\n'
          : reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 10-19/100' }, TEN),
    );
  const headersOfAll = async (over: Partial<S3ClientOptions>) => {
    const { server, origin } = await open(answered, over);
    const call = { signal };
    await origin.head('bucket', 'key', call);
    await origin.read(object, range, collectSink(), call);
    await origin.part(object, 1, call).catch(() => undefined);
    await origin.checkOwner('bucket', 'key', '123456789012', call);
    await origin.probe('bucket', '', call);
    await origin.list('bucket', { prefix: '', delimiter: '', after: '', maxKeys: 10 }, call);
    expect(server.requests).toHaveLength(6);
    return server.requests.map(({ headers }) => headers);
  };

  test('to a public bucket carries no credentials', async () => {
    for (const headers of await headersOfAll({ credentials: { kind: 'anonymous' } })) {
      expect(headers).not.toHaveProperty('authorization');
      expect(headers).not.toHaveProperty('x-amz-date');
      expect(headers).not.toHaveProperty('x-amz-security-token');
    }
  });

  test('to a requester-pays bucket contains the signed header x-amz-request-payer', async () => {
    for (const headers of await headersOfAll({ requesterPays: true })) {
      expect(headers).toMatchObject({ 'x-amz-request-payer': 'requester' });
      expect(headers['authorization']).toContain('x-amz-request-payer');
    }
    for (const headers of await headersOfAll({})) expect(headers).not.toHaveProperty('x-amz-request-payer');
  });
});

describe('a server with quirks', () => {
  const call = { signal };
  const headers = { etag: '"e1"', 'content-range': 'bytes 10-19/100', 'transfer-encoding': 'chunked' };
  const chunked = (coded: string, over: Readonly<Record<string, string>> = {}): string =>
    `HTTP/1.1 206 Partial Content\r\n${Object.entries({ ...headers, ...over })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n${coded}`;
  const head = (etag: string, more = ''): string =>
    `HTTP/1.1 200 OK\r\netag: ${etag}\r\ncontent-length: 100\r\n${more}\r\n`;

  test.for([
    ['one chunk', 'a\r\n0123456789\r\n0\r\n\r\n'],
    ['several, with an extension and a trailer', '3;x=y\r\n012\r\n7\r\n3456789\r\n0\r\nx-t: 1\r\n\r\n'],
  ] as const)('that sends a range in %s is read, and its connection is used again', async ([, coded]) => {
    const { server, origin } = await open((_, answer) => answer.write(chunked(coded)));
    for (let round = 0; round < 2; round++) {
      const sink = collectSink({ windowBytes: 4, pauseAfterWindow: true });
      await origin.read(object, range, sink, call);
      expect(sink.bytes().toString()).toBe(TEN);
    }
    expect(server.accepted).toBe(1);
  });

  test('that sends chunks byte by byte is read', async () => {
    const { origin } = await open(async (_, answer) => {
      for (const byte of chunked('5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n')) {
        answer.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const sink = collectSink();
    await origin.read(object, range, sink, call);
    expect(sink.bytes().toString()).toBe(TEN);
  });

  test.for([
    ['too few', '9\r\n012345678\r\n0\r\n\r\n', {}, 'origin_unavailable'],
    ['too many', 'b\r\n0123456789x\r\n0\r\n\r\n', {}, 'origin_unavailable'],
    ['malformed', 'a\r\n0123456789x', {}, 'origin_unavailable'],
    ['another version’s', 'a\r\n0123456789\r\n0\r\n\r\n', { etag: '"e2"' }, 'object_changed'],
    ['another range’s', 'a\r\n0123456789\r\n0\r\n\r\n', { 'content-range': 'bytes 0-9/100' }, 'origin_unavailable'],
    ['another size’s', 'a\r\n0123456789\r\n0\r\n\r\n', { 'content-range': 'bytes 10-19/99' }, 'object_changed'],
  ] as const)('that sends %s chunked bytes is refused', async ([, coded, over, code]) => {
    const { origin } = await open((_, answer) => {
      answer.write(chunked(coded, over));
      answer.end();
    });
    await expect(origin.read(object, range, collectSink(), call)).rejects.toMatchObject({ code });
  });

  test('that ends the connection in the middle of a chunk has cut the response', async () => {
    const { origin } = await open((_, answer) => {
      answer.write(chunked('a\r\n01234'));
      answer.end();
    });
    const sink = collectSink();
    await expect(origin.read(object, range, sink, call)).rejects.toMatchObject({ code: 'origin_unavailable' });
    expect(sink.bytes().toString()).toBe('01234');
  });

  test('that does not quote ETags, and compares If-Match literally, is read without the condition', async () => {
    const { server, origin } = await open(({ method, headers: { 'if-match': condition } }, answer) => {
      if (method === 'HEAD') answer.write(head('e1'));
      else if (condition !== undefined && condition !== 'e1')
        answer.write(fault('412 Precondition Failed', 'PreconditionFailed'));
      else answer.write(reply('206 Partial Content', { etag: 'e1', 'content-range': 'bytes 10-19/100' }, TEN));
    });
    for (let round = 0; round < 3; round++) {
      const sink = collectSink();
      await origin.read(object, range, sink, call);
      expect(sink.bytes().toString()).toBe(TEN);
    }
    // The first read learned it: refused, compared by a HEAD, repeated.
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'GET', 'GET', 'GET']);
  });

  test('that refuses a changed object gets one HEAD, and the read fails', async () => {
    const { server, origin } = await open(({ method }, answer) =>
      answer.write(method === 'HEAD' ? head('"e2"') : fault('412 Precondition Failed', 'PreconditionFailed')),
    );
    await expect(origin.read(object, range, collectSink(), call)).rejects.toMatchObject({ code: 'object_changed' });
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test.for([
    ['"a b/c#d"', 'a b/c#d'],
    ['e-1', 'e-1'],
    ['"\u00e9"', '\u00e9'],
  ] as const)('with the ETag %s is read by it', async ([sent, etag]) => {
    const { origin } = await open(({ method, headers: { 'if-match': condition } }, answer) => {
      if (method === 'HEAD') answer.write(Buffer.from(head(sent), 'latin1'));
      else if (condition !== `"${etag}"`) answer.write(fault('412 Precondition Failed', 'PreconditionFailed'));
      else answer.write(reply('206 Partial Content', { etag: sent, 'content-range': 'bytes 10-19/100' }, TEN));
    });
    expect((await origin.head('bucket', 'key', call)).etag).toBe(etag);
    await origin.read({ ...object, etag }, range, collectSink(), call);
  });

  test('with weak ETags is refused', async () => {
    const { origin } = await open((_, answer) => answer.write(head('W/"e1"')));
    await expect(origin.head('bucket', 'key', call)).rejects.toMatchObject({ code: 'origin_missing_etag' });
  });

  test.for(['400 Bad Request', '501 Not Implemented'])(
    'that refuses x-amz-checksum-mode with %s gets no more requests with it',
    async (status) => {
      const { server, origin } = await open(({ method, headers: sent }, answer) => {
        const isRefused = method === 'HEAD' && 'x-amz-checksum-mode' in sent;
        if (isRefused) answer.write(bodiless(status));
        else if (method === 'HEAD') answer.write(head('"e1"'));
        else answer.write(reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 0-0/100' }, 'x'));
      });
      expect((await origin.head('bucket', 'key', call)).sizeBytes).toBe(100);
      expect((await origin.head('bucket', 'key', call)).sizeBytes).toBe(100);
      expect(server.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'HEAD', 'HEAD']);
    },
  );

  test('that sends no length in a HEAD gets a GET of one byte', async () => {
    const chunkedHead = 'HTTP/1.1 200 OK\r\netag: "e1"\r\ntransfer-encoding: chunked\r\n\r\n';
    const { origin } = await open(({ method }, answer) =>
      answer.write(
        method === 'HEAD'
          ? chunkedHead
          : reply('206 Partial Content', { etag: '"e1"', 'content-range': 'bytes 0-0/100' }, 'x'),
      ),
    );
    expect((await origin.head('bucket', 'key', call)).sizeBytes).toBe(100);
  });

  test('that decompresses while it sends has no length at all, which is reported', async () => {
    const { origin } = await open((_, answer) =>
      answer.write('HTTP/1.1 200 OK\r\netag: "e1"\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'),
    );
    await expect(origin.head('bucket', 'key', call)).rejects.toMatchObject({
      code: 'origin_unsupported',
      message: expect.stringContaining('does not report the length') as unknown,
    });
  });

  test.for(['400 Bad Request', '501 Not Implemented'])(
    'that refuses attributes of a list with %s gets lists without them',
    async (status) => {
      const { server, origin } = await open(({ headers: sent }, answer) =>
        answer.write(
          'x-amz-optional-object-attributes' in sent
            ? fault(status, status.startsWith('400') ? 'InvalidArgument' : 'NotImplemented')
            : reply('200 OK', {}, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'),
        ),
      );
      const query = { prefix: '', delimiter: '', after: '', maxKeys: 10 };
      expect(await origin.list('bucket', query, call)).toEqual({ items: [], truncated: false });
      await origin.list('bucket', query, call);
      expect(server.requests).toHaveLength(3);
    },
  );

  test('that sends a list in chunks, with unquoted ETags and odd dates, is listed', async () => {
    const xml =
      '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><ETag>e1</ETag><Size>5</Size>' +
      '<LastModified>2026-01-02T03:04:05Z</LastModified></Contents></ListBucketResult>';
    const coded = `${xml.length.toString(16)}\r\n${xml}\r\n0\r\n\r\n`;
    const { origin } = await open((_, answer) =>
      answer.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${coded}`),
    );
    const { items } = await origin.list('bucket', { prefix: '', delimiter: '', after: '', maxKeys: 10 }, call);
    expect(items).toMatchObject([{ entry: { key: 'a', etag: 'e1', sizeBytes: 5 } }]);
  });
});
