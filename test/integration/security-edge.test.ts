/** Attacks on the edge: access to other buckets and tenants, and injected headers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeToken } from '#cache/core/s3/continuation-token.ts';
import { createSigner } from '#cache/wire/s3/sigv4.ts';
import { http, type HttpAnswer } from '#test/support/http.ts';
import { presign } from '#test/support/presign.ts';
import { BUCKET, ORIGIN_BUCKET, startReplicas, type Replicas } from '#test/support/replicas.ts';
import { reply, startScriptedServer, type ScriptedServer } from '#test/support/scripted-server.ts';

const OTHER_BUCKET = 'far-private';
const PRIVATE = 'a private object outside the bucket';
const HOST = 's3.cache.test';

/** The status and code of the error; no code if the body is not an error document. */
function outcome({ status, body }: HttpAnswer): string {
  return `${status} ${/<Code>(\w+)<\/Code>/.exec(body.toString())?.[1] ?? ''}`.trim();
}

describe('an origin with more buckets than are served', () => {
  let cache: Replicas;
  const edge = (): string => cache.all[0]!.edge;

  beforeAll(async () => {
    cache = await startReplicas({
      changes: {
        'edge.virtualHostDomains': [HOST],
        'origin.buckets': [
          { name: BUCKET, originBucket: ORIGIN_BUCKET },
          { name: 'part', originBucket: ORIGIN_BUCKET, prefix: 'open/' },
        ],
      },
    });
    await cache.origin.createBucket(OTHER_BUCKET);
    await cache.origin.putObject(OTHER_BUCKET, 'key', PRIVATE);
    await cache.put('private/key', Buffer.from(PRIVATE));
    await cache.put('open/key', Buffer.from('open to all'));
  });
  afterAll(() => cache[Symbol.asyncDispose]());

  test.for(
    [
      `/${BUCKET}/../${OTHER_BUCKET}/key`,
      `/${BUCKET}/%2e%2e/${OTHER_BUCKET}/key`,
      `/${BUCKET}/%2E./${OTHER_BUCKET}/key`,
      `/${BUCKET}/..%2F${OTHER_BUCKET}%2Fkey`,
      `/${BUCKET}/a/../../${OTHER_BUCKET}/key`,
      `/${BUCKET}//../../${OTHER_BUCKET}/key`,
      `/${BUCKET}/./../${OTHER_BUCKET}/key`,
      `/${BUCKET}%2F..%2F${OTHER_BUCKET}/key`,
      `/${BUCKET}/..;/${OTHER_BUCKET}/key`,
      `/${BUCKET}/..%5C${OTHER_BUCKET}%5Ckey`,
      `/${BUCKET}/%252e%252e/${OTHER_BUCKET}/key`,
      `/${BUCKET}/%c0%ae%c0%ae/${OTHER_BUCKET}/key`,
      `/${BUCKET}/..%00/${OTHER_BUCKET}/key`,
      `/${BUCKET}%00/${OTHER_BUCKET}/key`,
      `/${OTHER_BUCKET}/key`,
      `/${ORIGIN_BUCKET}/private/key`,
      `/%66ar-private/key`,
      `//${OTHER_BUCKET}/key`,
      `/./${OTHER_BUCKET}/key`,
      `/../${OTHER_BUCKET}/key`,
      `/part/../private/key`,
      `/part/%2e%2e/private/key`,
      `/part/x/../../private/key`,
      `/part//../private/key`,
      `/part/..%2fprivate%2fkey`,
      `/${BUCKET}?prefix=../${OTHER_BUCKET}/&list-type=2`,
      `/part?prefix=../private/&list-type=2`,
      `/part?prefix=x/../../private/&list-type=2&delimiter=/`,
      `/part?marker=../private/`,
      `/part?list-type=2&start-after=../private/`,
      `http://${OTHER_BUCKET}.${HOST}/key`,
      `http://${BUCKET}.${HOST}/../${OTHER_BUCKET}/key`,
      `http://${HOST}@${OTHER_BUCKET}.${HOST}/key`,
      `http://..${HOST}/key`,
    ].map((target) => [target] as const),
  )('%s does not lead there', async ([target]) => {
    const answer = await http(edge(), target);
    expect(answer.body.toString()).not.toContain(PRIVATE);
    // A list within the served part is one; all else is refused.
    if (!/marker|start-after/.test(target)) expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.body.toString()).not.toContain('<Contents><Key>private');
    // The origin got no request that would lead there, even if it resolved the dots.
    for (const { target: passed } of cache.originProxy.passed)
      expect(new URL(passed, 'http://origin').pathname).toMatch(new RegExp(`^/${ORIGIN_BUCKET}(?:/|$)`));
  });

  test('the private object exists, for clients of the origin or of its own bucket', async () => {
    expect((await cache.origin.request('GET', OTHER_BUCKET, 'key')).body.toString()).toBe(PRIVATE);
    expect((await http(edge(), `/${BUCKET}/private/key`)).body.toString()).toBe(PRIVATE);
    expect((await http(edge(), '/part/key')).body.toString()).toBe('open to all');
  });

  test('keys too long, empty, of NUL and of nothing but slashes are answered, each time alike', async () => {
    for (let round = 0; round < 2; round++) {
      expect(outcome(await http(edge(), `/${BUCKET}/${'k'.repeat(1025)}`))).toBe('400 KeyTooLongError');
      expect(outcome(await http(edge(), `/${BUCKET}/${'%C3%A9'.repeat(513)}`))).toBe('400 KeyTooLongError');
      expect(outcome(await http(edge(), `/${BUCKET}/%ff`))).toBe('400 InvalidURI');
      expect(outcome(await http(edge(), `//key`))).toBe('404 NoSuchBucket');
      for (const key of ['%00', 'a%00b'])
        expect(outcome(await http(edge(), `/${BUCKET}/${key}`))).toBe('400 InvalidRequest');
      for (const key of ['//', '///', 'open/key/']) {
        const answer = await http(edge(), `/${BUCKET}/${key}`);
        // This origin takes some of them for the bucket itself, which has no ETag.
        expect([400, 403, 404, 502, 503]).toContain(answer.status);
        expect(answer.body.toString()).toContain('<Error>');
      }
    }
  });

  test('text from a request is returned as text, never as markup', async () => {
    const evil = `</Key><Code>x</Code><!--"'&]]>\u0000\u0001`;
    const encoded = encodeURIComponent(evil);
    for (const target of [
      `/${BUCKET}/${encoded}`,
      `/${encoded}/key`,
      `/${BUCKET}?list-type=2&prefix=${encoded}&delimiter=${encoded}&start-after=${encoded}&encoding-type=url`,
      `/${BUCKET}?list-type=2&continuation-token=${encoded}`,
      `/${BUCKET}?list-type=2&max-keys=${encoded}`,
      `/${BUCKET}?encoding-type=${encoded}`,
      `/${BUCKET}/a?partNumber=${encoded}`,
      `/${BUCKET}?acl&prefix=${encoded}`,
      `/${encoded}?policy`,
    ]) {
      const body = (await http(edge(), target)).body.toString();
      expect(body).toMatch(/^<\?xml /);
      expect(body).not.toContain('<!--');
      expect(body).not.toContain('</Key><Code>x');
    }
    const method = await http(edge(), `/${BUCKET}/${encoded}`, { method: 'DELETE' });
    expect(outcome(method)).toBe('405 MethodNotAllowed');
    const range = await http(edge(), '/part/key', { headers: { range: 'bytes=999-<b>&' } });
    expect(range.status).toBe(200);
    const beyond = await http(edge(), '/part/key', { headers: { range: 'bytes=999-' } });
    expect(beyond.body.toString()).toContain('<RangeRequested>bytes=999-</RangeRequested>');
  });

  test('a response header that a client chooses is one header, and only for signed requests', async () => {
    const headers = { authorization: 'AWS4-HMAC-SHA256 Credential=any' };
    const ask = (value: string) =>
      http(edge(), `/part/key?response-content-disposition=${value}&response-content-type=text/x`, { headers });
    expect((await ask('attachment')).headers['content-disposition']).toBe('attachment');
    for (const value of ['a%0d%0aX-Evil:%201', 'a%0aX-Evil:%201', 'a%0dX', '%00', '%F0%9F%90%B3', '%01']) {
      const answer = await ask(value);
      expect(outcome(answer)).toBe('400 InvalidArgument');
      expect(answer.headers).not.toHaveProperty('x-evil');
    }
    expect(outcome(await http(edge(), '/part/key?response-x-evil=1', { headers }))).toBe('400 InvalidArgument');
    expect(outcome(await http(edge(), '/part/key?response-content-type=text/html'))).toBe('400 InvalidRequest');
    expect((await http(edge(), '/part/key')).headers['content-disposition']).toBeUndefined();
  });
});

describe('an origin that says strange things', () => {
  const BODY = Buffer.from('0123456789');
  let origin: ScriptedServer;
  let cache: Replicas;
  let head: string;

  beforeAll(async () => {
    origin = await startScriptedServer((request, answer) => {
      const headers = { etag: '"abc"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
      if (request.method === 'HEAD')
        answer.write(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: "abc"\r\n${head}\r\n`, 'latin1'));
      else answer.write(reply('206 Partial Content', { ...headers, 'content-range': 'bytes 0-9/10' }, BODY));
    });
    cache = await startReplicas({ originEndpoint: origin.endpoint });
  });
  afterAll(async () => {
    await cache[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  let number = 0;
  const readWith = (lines: string): Promise<HttpAnswer> => {
    head = lines;
    number += 1;
    return http(cache.all[0]!.edge, `/${BUCKET}/object-${number}`);
  };

  test('has no headers of the connection, and sets no cookie', async () => {
    const answer = await readWith(
      'set-cookie: a=b\r\nx-evil: 1\r\nlocation: http://evil\r\naccess-control-allow-origin: *\r\nserver: evil\r\n' +
        'content-range: bytes 0-1/2\r\nx-cache: HIT\r\nx-amz-request-id: evil\r\nconnection: x\r\n',
    );
    expect([answer.status, answer.body.toString()]).toEqual([200, BODY.toString()]);
    for (const name of ['set-cookie', 'x-evil', 'location', 'access-control-allow-origin', 'content-range'])
      expect(answer.headers).not.toHaveProperty(name);
    expect(answer.headers['server']).toBe('OrcaCache');
    expect(answer.headers['x-amz-request-id']).not.toBe('evil');
  });

  test.for([
    ['bytes past ASCII', 'x-amz-meta-a: caf\xe9 \xff\r\n', 'caf\xe9 \xff'],
    ['nothing', 'x-amz-meta-a: \r\n', ''],
    ['8 KiB', `x-amz-meta-a: ${'m'.repeat(8 * 1024)}\r\n`, 'm'.repeat(8 * 1024)],
    ['the same name twice', 'x-amz-meta-a: 1\r\nx-amz-meta-a: 2\r\n', '1, 2'],
  ] as const)('its metadata of %s goes through as it is', async ([, lines, value]) => {
    const { hostname, port } = new URL(cache.all[0]!.edge);
    head = lines;
    number += 1;
    const socket = connect(Number(port), hostname);
    socket.setEncoding('latin1');
    socket.write(`GET /${BUCKET}/object-${number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(await text(socket)).toContain(`x-amz-meta-a: ${value}\r\n`);
  });

  test.for([
    ['a bare line feed', 'x-amz-meta-a: 1\nx-evil: 1\r\n'],
    ['a bare carriage return', 'x-amz-meta-a: 1\rx-evil: 1\r\n'],
    ['NUL', 'x-amz-meta-a: \0\r\n'],
    ['a folded line', 'x-amz-meta-a: 1\r\n x-evil: 1\r\n'],
    ['a name with a space', 'x-amz-meta-a b: 1\r\n'],
    ['no end', `x-amz-meta-a: ${'m'.repeat(70_000)}\r\n`],
    ['two lengths', 'content-length: 11\r\n'],
    ['a length and a coding', 'transfer-encoding: chunked\r\n'],
  ] as const)('a head of it with %s is no answer', async ([, lines]) => {
    const answer = await readWith(lines);
    expect(outcome(answer)).toBe('503 ServiceUnavailable');
    expect(answer.headers).not.toHaveProperty('x-evil');
    expect(answer.body.toString()).not.toContain('x-evil');
    // A broken answer counts for the breaker, which shall not decide the next test.
    await readWith('');
  });
});

describe('tenants', () => {
  const ADMIN = { accessKeyId: 'ADMIN', secretAccessKey: 'admin-secret-of-the-tests' };
  const BOB = { accessKeyId: 'BOB', secretAccessKey: 'bob-secret-of-the-tests' };
  const GUEST = {
    accessKeyId: 'GUEST',
    secretAccessKey: 'guest-secret-of-the-tests',
    sessionToken: 'guest-session-token',
  };
  let directory: string;
  let cache: Replicas;
  const edge = (): string => cache.all[0]!.edge;
  const host = (): string => new URL(edge()).host;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orca-security-'));
    const keys = [
      ADMIN,
      { ...BOB, buckets: [{ name: BUCKET, prefix: 'bob/' }] },
      { ...GUEST, buckets: [{ name: 'second' }] },
    ];
    await writeFile(join(directory, 'keys.yaml'), JSON.stringify(keys));
    cache = await startReplicas({
      changes: {
        'edge.auth': { type: 'SigV4', directory },
        'edge.virtualHostDomains': [HOST],
        'origin.buckets': [
          { name: BUCKET, originBucket: ORIGIN_BUCKET },
          { name: 'second', originBucket: ORIGIN_BUCKET, prefix: 'second/' },
        ],
      },
    });
    for (const key of ['bob/1', 'bob/2', 'bob/3', 'alice/1', 'alice/2', 'second/1'])
      await cache.put(key, Buffer.from(`object ${key}`));
  });
  afterAll(async () => {
    await cache[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const by = (who: typeof ADMIN, path: string, query: Record<string, string> = {}, method = 'GET') => {
    const target = presign({ ...who, method, host: host(), path, query, atMs: Date.now() });
    return http(edge(), target, { method });
  };

  test('a key that may read one prefix gets 403 for everything else, whether it is there or not', async () => {
    expect((await by(BOB, `/${BUCKET}/bob/1`)).body.toString()).toBe('object bob/1');
    expect(outcome(await by(BOB, `/${BUCKET}/bob/none`))).toBe('404 NoSuchKey');
    for (const path of [
      `/${BUCKET}/alice/1`,
      `/${BUCKET}/alice/none`,
      `/${BUCKET}/bob`,
      `/${BUCKET}/bobby/1`,
      `/${BUCKET}/bob/../alice/1`,
      `/${BUCKET}/bob/%2e%2e/alice/1`,
      `/${BUCKET}/bob%2F..%2Falice%2F1`.replaceAll('%2F', '/'),
      `/${BUCKET}/bob/x/../../alice/1`,
      `/${BUCKET}//bob/1`,
      '/second/1',
      '/second/none',
      '/second',
      '/no-such-bucket',
      '/no-such-bucket/key',
      `/${ORIGIN_BUCKET}/bob/1`,
    ])
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'POST']) {
        // Encoded as the signature requires, however the target is encoded.
        const signedPath = path.replaceAll(/%2e/gi, '.');
        const target = presign({ ...BOB, method, host: host(), path: signedPath, atMs: Date.now() });
        const answer = await http(edge(), target.replace(signedPath, path), { method });
        expect([path, method, answer.status]).toEqual([path, method, 403]);
      }
    for (const query of [{ acl: '' }, { tagging: '' }, { attributes: '' }, { versionId: 'x' }, { partNumber: 'x' }])
      expect(outcome(await by(BOB, `/${BUCKET}/alice/1`, query as Record<string, string>))).toBe('403 AccessDenied');
  });

  test('lists show nothing outside the prefix, by any prefix, marker, delimiter or token', async () => {
    const list = (query: Record<string, string>) => by(BOB, `/${BUCKET}`, query);
    expect((await list({ 'list-type': '2', prefix: 'bob/' })).body.toString()).toContain('<KeyCount>3</KeyCount>');
    for (const query of [
      { 'list-type': '2' },
      { 'list-type': '2', prefix: '' },
      { 'list-type': '2', prefix: 'b' },
      { 'list-type': '2', prefix: 'bob' },
      { 'list-type': '2', prefix: 'alice/' },
      { 'list-type': '2', prefix: 'nobody/' },
      { 'list-type': '2', prefix: 'bob/../alice/' },
      { 'list-type': '2', prefix: 'alice/', 'continuation-token': 'nonsense' },
      { 'list-type': '2', prefix: 'alice/', 'max-keys': 'nonsense' },
      { 'list-type': '2', prefix: 'alice/', 'max-keys': '0' },
      { prefix: 'alice/' },
      { marker: 'bob/' },
    ])
      expect(outcome(await list(query as unknown as Record<string, string>))).toBe('403 AccessDenied');
    // The continuation point of a list is not secret; its prefix alone decides what it may show.
    const first = await by(ADMIN, `/${BUCKET}`, { 'list-type': '2', 'max-keys': '1' });
    const adminsToken = /<NextContinuationToken>([^<]+)</.exec(first.body.toString())?.[1] ?? '';
    expect(adminsToken).not.toBe('');
    const stolen = await list({ 'list-type': '2', prefix: 'bob/', 'continuation-token': adminsToken });
    expect(outcome(stolen)).toBe('400 InvalidArgument');
    const forged = encodeToken({ bucket: BUCKET, prefix: 'bob/', delimiter: '' }, 'alice/');
    const walked = await list({ 'list-type': '2', prefix: 'bob/', 'continuation-token': forged });
    expect([...walked.body.toString().matchAll(/<Key>([^<]+)</g)].map(([, key]) => key)).toEqual([
      'bob/1',
      'bob/2',
      'bob/3',
    ]);
    for (const query of [{ 'start-after': 'alice/' }, { 'start-after': '../' }])
      expect((await list({ 'list-type': '2', prefix: 'bob/', ...query })).body.toString()).not.toContain('<Key>alice');
    const buckets = (await by(BOB, '/')).body.toString();
    expect([...buckets.matchAll(/<Name>([^<]+)</g)].map(([, name]) => name)).toEqual([BUCKET]);
  });

  test('a presigned URL opens what it was signed for, for as long, and nothing else', async () => {
    const atMs = Date.now();
    const common = { ...ADMIN, host: host(), path: `/${BUCKET}/bob/1`, atMs };
    const good = presign(common);
    expect((await http(edge(), good)).body.toString()).toBe('object bob/1');
    // Again: until it expires, that is what it is for.
    expect((await http(edge(), good)).status).toBe(200);
    const hour = 3_600_000;
    const signature = /X-Amz-Signature=(.*)/.exec(good)?.[1] ?? '';
    const cases: [string, string, Record<string, string>?, string?][] = [
      ['403 SignatureDoesNotMatch', good.replace('bob/1', 'alice/1')],
      ['403 SignatureDoesNotMatch', good.replace('bob/1', 'bob//1')],
      ['403 SignatureDoesNotMatch', good.replace('X-Amz-Expires=60', 'X-Amz-Expires=600')],
      ['403 SignatureDoesNotMatch', `${good}&response-content-type=text/html`],
      ['403 SignatureDoesNotMatch', `${good}&partNumber=1`],
      ['403 SignatureDoesNotMatch', `${good}&X-Amz-Expires=60`],
      ['403 SignatureDoesNotMatch', good, { host: 'other.example' }],
      ['403', good, {}, 'HEAD'],
      ['403 SignatureDoesNotMatch', good.replace(signature, '0'.repeat(64))],
      ['403 SignatureDoesNotMatch', good.replace(signature, signature.slice(0, 62))],
      ['403 SignatureDoesNotMatch', good.replace(signature, `${signature}00`)],
      ['403 AccessDenied', good, { 'x-amz-meta-x': '1' }],
      ['403 AccessDenied', presign({ ...common, atMs: atMs - hour, expiresS: 60 })],
      ['403 AccessDenied', presign({ ...common, atMs: atMs + hour })],
      ['400 AuthorizationQueryParametersError', presign({ ...common, expiresS: 604_801 })],
      ['400 AuthorizationQueryParametersError', presign({ ...common, expiresS: 0 })],
      ['403 InvalidAccessKeyId', presign({ ...common, accessKeyId: 'NOBODY' })],
      ['403 SignatureDoesNotMatch', presign({ ...common, secretAccessKey: BOB.secretAccessKey })],
      ['403 AccessDenied', presign({ ...common, ...BOB, path: `/${BUCKET}/alice/1` })],
      ['400 InvalidToken', presign({ ...common, sessionToken: 'not-asked-for' })],
      ['400 InvalidToken', presign({ ...common, ...GUEST, sessionToken: 'another-session', path: '/second/1' })],
      ['400 InvalidToken', presign({ ...common, ...GUEST, sessionToken: undefined, path: '/second/1' })],
    ];
    for (const [wanted, target, headers = {}, method = 'GET'] of cases)
      expect([target, outcome(await http(edge(), target, { headers, method }))]).toEqual([target, wanted]);
    expect((await http(edge(), presign({ ...common, ...GUEST, path: '/second/1' }))).status).toBe(200);
  });

  test('a URL signed for one bucket’s host opens no other bucket, whatever the target says', async () => {
    const signed = presign({ ...ADMIN, host: `${BUCKET}.${HOST}`, path: '/second/1', atMs: Date.now() });
    const headers = { host: `${BUCKET}.${HOST}` };
    expect((await http(edge(), signed, { headers })).body.toString()).toBe('object second/1');
    for (const elsewhere of [`second.${HOST}`, HOST, 'any.example'])
      expect(outcome(await http(edge(), `http://${elsewhere}${signed}`, { headers }))).toBe(
        '403 SignatureDoesNotMatch',
      );
    expect(outcome(await http(edge(), signed, { headers: { host: HOST } }))).toBe('403 SignatureDoesNotMatch');
  });

  test('a signature in headers is good for its time and its request', async () => {
    const path = `/${BUCKET}/bob/1`;
    const sign = (nowMs: number) =>
      createSigner('us-east-1').sign({ method: 'GET', path, headers: { host: host() }, credentials: BOB, nowMs });
    expect((await http(edge(), path, { headers: sign(Date.now()) })).status).toBe(200);
    for (const minutes of [-16, 16])
      expect(outcome(await http(edge(), path, { headers: sign(Date.now() + minutes * 60_000) }))).toBe(
        '403 RequestTimeTooSkewed',
      );
    const old = sign(Date.now() - 16 * 60_000);
    const fresh = sign(Date.now());
    // A new date on an old signature, and an old one under a new.
    expect((await http(edge(), path, { headers: { ...old, 'x-amz-date': fresh['x-amz-date'] ?? '' } })).status).toBe(
      403,
    );
    const answer = await http(edge(), `/${BUCKET}/bob/2`, { headers: fresh });
    expect(outcome(answer)).toBe('403 SignatureDoesNotMatch');
    expect(answer.body.toString()).not.toContain(BOB.secretAccessKey);
  });

  test('a refused client learns nothing about the key', async () => {
    const refused = await by({ ...GUEST, secretAccessKey: 'wrong' }, '/second/1');
    for (const secret of [GUEST.secretAccessKey, BOB.secretAccessKey, ADMIN.secretAccessKey])
      expect(refused.body.toString()).not.toContain(secret);
  });
});
