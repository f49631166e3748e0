import { describe, expect, test } from 'vitest';
import { collectSink } from '#test/support/collect-sink.ts';
import { reply } from '#test/support/scripted-server.ts';
import { headed, MODIFIED, object, open, openOrigin, partial, range, secret, signal, TEN } from './fixture.ts';

describe('a read', () => {
  test('requests exactly that version and range', async () => {
    const { server, origin } = await open((_, answer) => answer.write(partial()));
    const sink = collectSink();
    await origin.read(object, range, sink, { signal, requestId: 'r-1' });
    expect(sink.bytes().toString()).toBe(TEN);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ method: 'GET', target: '/base/key' });
    expect(server.requests[0]?.headers).toMatchObject({
      range: 'bytes=10-19',
      'if-match': '"e1"',
      'accept-encoding': 'identity',
      'x-request-id': 'r-1',
    });
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
  });

  test.for([
    ['another ETag', partial({ etag: '"e2"' }), 'object_changed'],
    ['another total', partial({ 'content-range': 'bytes 10-19/101' }), 'object_changed'],
    ['a weak ETag', partial({ etag: 'W/"e1"' }), 'origin_unavailable'],
    ['another start', partial({ 'content-range': 'bytes 9-18/100' }), 'origin_unavailable'],
    ['an unknown total', partial({ 'content-range': 'bytes 10-19/*' }), 'origin_unavailable'],
    ['a length that differs from the range', partial({}, '012345678'), 'origin_unavailable'],
    ['the whole object', reply('200 OK', { etag: '"e1"' }, 'x'.repeat(100)), 'origin_unsupported'],
    ['the whole of another version', reply('200 OK', { etag: '"e2"' }, 'x'.repeat(100)), 'object_changed'],
    ['416', reply('416 Range Not Satisfiable', {}), 'object_changed'],
    ['404', reply('404 Not Found', {}), 'not_found'],
  ] as const)('takes no bytes of a response with %s', async ([, answer, code]) => {
    const { origin } = await open((_, out) => out.write(answer));
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code });
    expect(sink.lengthBytes).toBe(0);
  });

  test('accepts a 200 if the range is the whole object', async () => {
    const { origin } = await open((_, out) => out.write(reply('200 OK', { etag: '"e1"' }, 'x'.repeat(100))));
    const sink = collectSink();
    await origin.read(object, { from: 0, to: 100 }, sink, { signal });
    expect(sink.bytes().toString()).toBe('x'.repeat(100));
  });

  test('that ends early is origin_unavailable, and its bytes are valid', async () => {
    const { origin } = await open((_, out) => {
      out.write(partial({ 'content-length': '10' }, TEN.slice(0, 4)));
      out.end();
    });
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code: 'origin_unavailable' });
    expect(TEN.startsWith(sink.bytes().toString())).toBe(true);
    expect(sink.lengthBytes).toBeLessThanOrEqual(4);
  });

  test.for([
    ['another version', headed({ etag: '"e2"' }), 'object_changed'],
    ['no file', reply('404 Not Found', {}), 'not_found'],
  ] as const)('that is answered 412 sends a HEAD, which finds %s', async ([, head, code]) => {
    const { server, origin } = await open((request, out) =>
      out.write(request.method === 'HEAD' ? head : reply('412 Precondition Failed', {})),
    );
    await expect(origin.read(object, range, collectSink(), { signal })).rejects.toMatchObject({ code });
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test('is sent without its condition if a HEAD contradicts the 412', async () => {
    const { server, origin } = await open((request, out) =>
      out.write(
        request.method === 'HEAD'
          ? headed()
          : 'if-match' in request.headers
            ? reply('412 Precondition Failed', {})
            : partial(),
      ),
    );
    const sink = collectSink();
    await origin.read(object, range, sink, { signal });
    expect(sink.bytes().toString()).toBe(TEN);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'GET']);
  });

  test.for([
    ["the file's own", { 'content-encoding': 'gzip' }, undefined],
    ['added by a proxy', {}, 'origin_unavailable'],
  ] as const)('finds out with a HEAD whether a content coding is %s', async ([, headers, code]) => {
    const { server, origin } = await open((request, out) =>
      out.write(request.method === 'HEAD' ? headed(headers) : partial({ 'content-encoding': 'gzip' })),
    );
    const sink = collectSink();
    const read = origin.read(object, range, sink, { signal });
    if (code === undefined) await read;
    else await expect(read).rejects.toMatchObject({ code });
    expect(sink.bytes().toString()).toBe(code === undefined ? TEN : '');
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'GET']);
  });

  test('fails when the first byte does not arrive in time', async () => {
    const { origin } = await open(() => undefined);
    await expect(origin.read(object, range, collectSink(), { signal, firstByteTimeoutMs: 20 })).rejects.toMatchObject({
      code: 'origin_unavailable',
    });
  });
});

describe('a head', () => {
  test('contains ETag, size, time and the headers of the representation', async () => {
    const { server, origin } = await open((_, out) =>
      out.write(
        headed({
          'last-modified': MODIFIED,
          'content-type': 'text/x-test',
          'cache-control': 'no-transform',
          'content-encoding': 'gzip',
          server: 'nginx',
        }),
      ),
    );
    expect(await origin.head('bucket', 'key', { signal })).toEqual({
      etag: 'e1',
      sizeBytes: 100,
      lastModifiedMs: Date.parse(MODIFIED),
      headers: { 'content-type': 'text/x-test', 'cache-control': 'no-transform', 'content-encoding': 'gzip' },
    });
    expect(server.requests).toMatchObject([{ method: 'HEAD', target: '/base/key' }]);
  });

  test.for([
    ['with spaces and ü', '/base/with%20spaces%20and%20%C3%BC'],
    ['what?is#this&that=%2F', '/base/what%3Fis%23this%26that%3D%252F'],
    ['a//b/', '/base/a//b/'],
    ['/leading', '/base//leading'],
    ['...', '/base/...'],
  ] as const)('requests the key %j as %s', async ([key, target]) => {
    const { server, origin } = await open((_, out) => out.write(headed()));
    await origin.head('bucket', key, { signal });
    expect(server.requests[0]?.target).toBe(target);
  });

  test.for(['..', 'a/../b', './a', 'a/.', '\ud800'])('refuses the key %j', async (key) => {
    const { server, origin } = await open((_, out) => out.write(headed()));
    await expect(origin.head('bucket', key, { signal })).rejects.toMatchObject({ code: 'bad_request' });
    expect(server.requests).toEqual([]);
  });

  test.for([
    ['no ETag', reply('200 OK', { 'content-length': '100' }), 'origin_missing_etag'],
    ['a weak ETag', headed({ etag: 'W/"e1"', 'last-modified': MODIFIED }), 'origin_missing_etag'],
    ['204', reply('204 No Content', { etag: '"e1"' }), 'origin_unsupported'],
    ['304', reply('304 Not Modified', { etag: '"e1"' }), 'origin_unsupported'],
    ['400', reply('400 Bad Request', {}), 'origin_unsupported'],
    ['401', reply('401 Unauthorized', {}), 'origin_denied'],
    ['403', reply('403 Forbidden', {}), 'origin_denied'],
    ['404', reply('404 Not Found', {}), 'not_found'],
    ['410', reply('410 Gone', {}), 'not_found'],
    ['429', reply('429 Too Many Requests', {}), 'origin_throttled'],
    ['500', reply('500 Internal Server Error', {}), 'origin_unavailable'],
    ['503', reply('503 Service Unavailable', {}), 'origin_unavailable'],
  ] as const)('that is answered with %s is an error', async ([, answer, code]) => {
    const { origin } = await open((_, out) => out.write(answer));
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code });
  });

  test('names the setting that would accept a file without a strong ETag', async () => {
    const { origin } = await open((_, out) => out.write(headed({ etag: 'W/"e1"', 'last-modified': MODIFIED })));
    await expect(origin.head('bucket', 'key', { signal })).rejects.toThrow('set origin.http.allowLastModified');
  });

  test.for(['429 Too Many Requests', '503 Service Unavailable'])('passes on Retry-After with %s', async (status) => {
    const { origin } = await open((_, out) => out.write(reply(status, { 'retry-after': '7' })));
    const error = { code: 'origin_throttled', retryAfterMs: 7000 };
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject(error);
  });

  test.for([
    ['405 Method Not Allowed', {}],
    ['501 Not Implemented', {}],
    ['200 OK', { 'transfer-encoding': 'chunked' }],
  ] as const)('that is answered %s uses a GET of one byte', async ([status, headers]) => {
    const { server, origin } = await open((request, out) => {
      if (request.method === 'GET') return out.write(partial({ 'content-range': 'bytes 0-0/100' }, '0'));
      const lines = Object.entries({ etag: '"e1"', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
      return out.write(
        `HTTP/1.1 ${status}\r\n${lines.join('')}${status.startsWith('200') ? '' : 'content-length: 0\r\n'}\r\n`,
      );
    });
    expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ etag: 'e1', sizeBytes: 100 });
    expect(server.requests.map((request) => request.method)).toEqual(['HEAD', 'GET']);
    expect(server.requests[1]?.headers).toMatchObject({ range: 'bytes=0-0' });
  });

  test('finds no bucket that has no URL', async () => {
    const { origin } = await open((_, out) => out.write(headed()));
    await expect(origin.head('constructor', 'key', { signal })).rejects.toMatchObject({ code: 'bucket_not_found' });
  });
});

describe('a version', () => {
  test('by ID is not_implemented, without a request', async () => {
    const { server, origin } = await open((_, out) => out.write(headed()));
    await expect(origin.head('bucket', 'key', { signal }, 'v1')).rejects.toMatchObject({ code: 'not_implemented' });
    expect(server.requests).toHaveLength(0);
  });

  test('null is the file', async () => {
    const { origin } = await open((_, out) => out.write(headed()));
    expect(await origin.head('bucket', 'key', { signal }, 'null')).toMatchObject({ etag: 'e1' });
  });
});

describe('without a strong ETag, if allowed,', () => {
  const weak = { etag: 'W/"e1"', 'last-modified': MODIFIED };
  const allow = { allowLastModified: true };

  test('a version is Last-Modified and size, and a read proves both', async () => {
    const { server, origin } = await open(
      (request, out) => out.write(request.method === 'HEAD' ? headed(weak) : partial(weak)),
      allow,
    );
    const { etag, sizeBytes } = await origin.head('bucket', 'key', { signal });
    expect(etag).toBe('lm-56273e80-64');
    const sink = collectSink();
    await origin.read({ ...object, etag, sizeBytes }, range, sink, { signal });
    expect(sink.bytes().toString()).toBe(TEN);
    expect(server.requests[1]?.headers).toMatchObject({ 'if-unmodified-since': MODIFIED });
    expect(server.requests[1]?.headers).not.toHaveProperty('if-match');
  });

  test.for([
    ['time', partial({ ...weak, 'last-modified': 'Wed, 21 Oct 2015 07:28:01 GMT' }), 'object_changed'],
    ['size', partial({ ...weak, 'content-range': 'bytes 10-19/101' }), 'object_changed'],
    ['time, without any', partial({ etag: 'W/"e1"' }), 'origin_unavailable'],
  ] as const)('a read finds another %s', async ([, answer, code]) => {
    const { origin } = await open((_, out) => out.write(answer), allow);
    const read = origin.read({ ...object, etag: 'lm-56273e80-64' }, range, collectSink(), { signal });
    await expect(read).rejects.toMatchObject({ code });
  });

  test('a strong ETag is still preferred', async () => {
    const { origin } = await open((_, out) => out.write(headed({ 'last-modified': MODIFIED })), allow);
    expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ etag: 'e1' });
  });

  test('a file without a date is still origin_missing_etag', async () => {
    const { origin } = await open((_, out) => out.write(reply('200 OK', { 'content-length': '100' })), allow);
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({ code: 'origin_missing_etag' });
  });
});

describe('a probe', () => {
  test.for([
    ['404 Not Found', {}],
    ['206 Partial Content', { 'content-range': 'bytes 0-0/1' }],
    ['302 Found', { location: 'https://login.example.com/' }],
    ['416 Range Not Satisfiable', {}],
    ['429 Too Many Requests', {}],
  ] as const)('that is answered %s finds the bucket reachable', async ([status, headers]) => {
    const { server, origin } = await open((_, out) => out.write(reply(status, headers)));
    expect(await origin.probe('bucket', 'some/prefix/', { signal })).toBe('reachable');
    expect(server.requests).toMatchObject([{ target: '/base/some/prefix/_orca-probe' }]);
  });

  test.for([
    ['401 Unauthorized', 'origin_denied'],
    ['403 Forbidden', 'origin_denied'],
    ['500 Internal Server Error', 'origin_unavailable'],
  ] as const)('that is answered %s fails with %s', async ([status, code]) => {
    const { origin } = await open((_, out) => out.write(reply(status, {})));
    await expect(origin.probe('bucket', '', { signal })).rejects.toMatchObject({ code });
  });
});

describe('credentials', () => {
  test.for([
    [{ token: 'abc\n' }, 'Bearer abc'],
    [{ username: 'me', password: 'pä:ss' }, `Basic ${Buffer.from('me:pä:ss').toString('base64')}`],
    [{ password: 'only' }, `Basic ${Buffer.from(':only').toString('base64')}`],
  ] as const)('from the Secret %j are sent as %s', async ([files, header]) => {
    const { server, origin } = await open((_, out) => out.write(headed()), {
      credentialsDirectory: await secret(files),
    });
    await origin.head('bucket', 'key', { signal });
    expect(server.requests[0]?.headers).toMatchObject({ authorization: header });
  });

  test.for([
    [{ token: 'a', password: 'b' }, 'remove one of them'],
    [{ username: 'a' }, 'contains neither token nor password'],
    [{ token: 'the secret' }, 'is not a token'],
    [{ username: 'a:b', password: 'the secret' }, 'must not contain a colon'],
  ] as const)('from the Secret %j are refused: %s', async ([files, message]) => {
    const directory = await secret(files);
    const { server, origin } = await open((_, out) => out.write(headed()), { credentialsDirectory: directory });
    const error = await origin.head('bucket', 'key', { signal }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'origin_denied', message: expect.stringContaining(message) as string });
    expect(String(error)).not.toContain('the secret');
    expect(server.requests).toEqual([]);
  });

  test('are not sent over http to another machine', async () => {
    const credentialsDirectory = await secret({ token: 'abc' });
    const origin = openOrigin('http://files.example.com/', { credentialsDirectory });
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({
      code: 'origin_denied',
      message: 'credentials are sent only over https, not to http://files.example.com',
    });
  });
});
