import { describe, expect, test } from 'vitest';
import { redirectTarget } from '#cache/origins/http/redirect.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { reply, type CapturedRequest, type ScriptedServer } from '#test/support/scripted-server.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';
import { headed, object, open, openOrigin, partial, range, secret, serve, signal, TEN } from './fixture.ts';

const hostOf = ({ endpoint }: ScriptedServer): string => new URL(endpoint).host;
const answerFor = ({ method }: CapturedRequest): Buffer => (method === 'HEAD' ? headed() : partial());

describe('the target of a redirect', () => {
  const from = new URL('https://files.example.com/base/key');
  const target = (location: string | undefined, redirectHosts: string[] = [], base = from): string =>
    redirectTarget(base, location, { host: base.host, redirectHosts }, 'bucket/key').href;

  test.for([
    ['/other?a=b', 'https://files.example.com/other?a=b'],
    ['sibling', 'https://files.example.com/base/sibling'],
    ['//files.example.com/x', 'https://files.example.com/x'],
    ['https://files.example.com:443/x#part', 'https://files.example.com/x'],
  ] as const)('%s on the same host is %s', ([location, href]) => {
    expect(target(location)).toBe(href);
  });

  test('may be https on the same host instead of http', () => {
    expect(target('https://a.example/x', [], new URL('http://a.example/key'))).toBe('https://a.example/x');
  });

  test.for([
    ['cdn.example.org', 'https://cdn.example.org/x'],
    ['cdn.example.org:443', 'https://cdn.example.org/x'],
    ['CDN.example.org', 'https://cdn.example.org/x'],
    ['cdn.example.org:8443', 'https://cdn.example.org:8443/x'],
    ['*.example.org', 'https://a.b.example.org/x'],
  ] as const)('is allowed by %s: %s', ([allowed, location]) => {
    expect(target(location, [allowed])).toBe(location);
  });

  test.for([
    ['cdn.example.org', 'https://cdn.example.org:8443/x'],
    ['cdn.example.org:8443', 'https://cdn.example.org/x'],
    ['cdn.example.org', 'https://cdn.example.org.evil.com/x'],
    ['*.example.org', 'https://example.org/x'],
    ['*.example.org', 'https://evilexample.org/x'],
    ['*.example.org', 'https://10.0.0.1/x'],
    ['*.example.org', 'http://a.example.org/x'],
    ['*.example.org', 'https://user@a.example.org/x'],
    ['*.example.org', 'https://:secret@a.example.org/x'],
    ['*.example.org', 'ftp://a.example.org/x'],
    ['*.example.org', 'https://'],
    ['*.example.org', undefined],
  ] as const)('is not allowed by %s: %s', ([allowed, location]) => {
    expect(() => target(location, [allowed])).toThrow(expect.objectContaining({ code: 'origin_unsupported' }));
  });

  test('is named by its host and the setting, without path and query', () => {
    expect(() => target('https://cdn.example.org/path?Signature=secret')).toThrow(
      /^the origin redirects bucket\/key to cdn\.example\.org: to allow this host, add it to origin\.http\.redirectHosts$/,
    );
  });

  test('that only appends a slash means a directory', () => {
    expect(() => target('/base/key/')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('a redirect', () => {
  test.for(['301 Moved Permanently', '302 Found', '303 See Other', '307 Temporary Redirect', '308 Permanent Redirect'])(
    'with %s is followed with the same method, range and condition',
    async (status) => {
      const { server, origin } = await open((request, out) =>
        out.write(request.target === '/base/key' ? reply(status, { location: '/there?sig=1' }) : answerFor(request)),
      );
      expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ etag: 'e1', sizeBytes: 100 });
      const sink = collectSink();
      await origin.read(object, range, sink, { signal });
      expect(sink.bytes().toString()).toBe(TEN);
      expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
        'HEAD /base/key',
        'HEAD /there?sig=1',
        'GET /base/key',
        'GET /there?sig=1',
      ]);
      expect(server.requests[3]?.headers).toMatchObject({ range: 'bytes=10-19', 'if-match': '"e1"' });
    },
  );

  test('is resolved again by each call', async () => {
    let count = 0;
    const { server, origin } = await open((request, out) =>
      out.write(
        request.target === '/base/key' ? reply('302 Found', { location: `/there/${count++}` }) : answerFor(request),
      ),
    );
    for (let call = 0; call < 2; call++) await origin.read(object, range, collectSink(), { signal });
    expect(server.requests.map(({ target }) => target)).toEqual(['/base/key', '/there/0', '/base/key', '/there/1']);
  });

  test('is followed five times, not six', async () => {
    let limit = 5;
    const { origin } = await open((request, out) => {
      const hop = Number(/\/hop\/(\d)/.exec(request.target)?.[1] ?? 0);
      out.write(hop < limit ? reply('302 Found', { location: `/hop/${hop + 1}` }) : answerFor(request));
    });
    expect(await origin.head('bucket', 'key', { signal })).toMatchObject({ etag: 'e1' });
    limit = 6;
    await expect(origin.head('bucket', 'key', { signal })).rejects.toMatchObject({
      code: 'origin_unsupported',
      message: 'the origin redirects bucket/key more than 5 times',
    });
  });

  test('carries credentials to the own server only', async () => {
    const other = await serve((request, out) => out.write(answerFor(request)));
    const { server, origin } = await open(
      (request, out) =>
        out.write(reply('302 Found', { location: request.target === '/base/key' ? '/step' : `${other.endpoint}/x` })),
      { credentialsDirectory: await secret({ token: 'abc' }), redirectHosts: [hostOf(other)] },
    );
    await origin.read(object, range, collectSink(), { signal, requestId: 'r-1' });
    expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer abc', 'Bearer abc']);
    expect(other.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(other.requests[0]?.headers).not.toHaveProperty('x-request-id');
    expect(other.requests[0]?.headers).toMatchObject({ host: hostOf(other), 'if-match': '"e1"' });
  });

  test('to another host is refused without a request to it', async () => {
    const other = await serve((request, out) => out.write(answerFor(request)));
    const { origin } = await open((_, out) =>
      out.write(reply('302 Found', { location: `${other.endpoint}/x?Signature=secret` })),
    );
    const error = await origin.head('bucket', 'key', { signal }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'origin_unsupported',
      message: `the origin redirects bucket/key to ${hostOf(other)}: to allow this host, add it to origin.http.redirectHosts`,
    });
    await expect(origin.read(object, range, collectSink(), { signal })).rejects.toMatchObject({
      code: 'origin_unsupported',
    });
    expect(other.accepted).toBe(0);
  });

  test('from https to http is refused', async () => {
    const other = await serve((request, out) => out.write(answerFor(request)));
    const tls = { cert: TEST_CERTIFICATE, key: TEST_KEY };
    const server = await serve((_, out) => out.write(reply('302 Found', { location: `${other.endpoint}/x` })), tls);
    const directory = await secret({ 'ca.crt': TEST_CA });
    const origin = openOrigin(`${server.endpoint}/`, {
      redirectHosts: [hostOf(other)],
      caFile: `${directory}/ca.crt`,
    });
    await expect(origin.head('bucket', 'key', { signal })).rejects.toThrow('from https to http');
    expect(other.accepted).toBe(0);
  });

  test('to a host that does not respond fails without showing the query', async () => {
    const other = await serve(() => undefined);
    await other[Symbol.asyncDispose]();
    const { origin } = await open(
      (_, out) => out.write(reply('302 Found', { location: `${other.endpoint}/x?Signature=secret` })),
      { redirectHosts: [hostOf(other)] },
    );
    const error = await origin.head('bucket', 'key', { signal }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'origin_unavailable' });
    for (let at = error; at instanceof Error; at = at.cause) expect(`${at.message}${at.stack}`).not.toContain('secret');
  });

  test('that replaces its target between HEAD and read is object_changed', async () => {
    let etag = '"e1"';
    const { origin } = await open((request, out) => {
      if (request.target === '/base/key') return out.write(reply('302 Found', { location: '/there' }));
      return out.write(request.method === 'HEAD' ? headed({ etag }) : partial({ etag }));
    });
    await origin.head('bucket', 'key', { signal });
    etag = '"e2"';
    const sink = collectSink();
    await expect(origin.read(object, range, sink, { signal })).rejects.toMatchObject({ code: 'object_changed' });
    expect(sink.lengthBytes).toBe(0);
  });
});
