/** Raw requests on a socket: each gets exactly one response, 400 or that of its only reading. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHttpListener, type HttpListener } from '#cache/http/listener/http-listener.ts';

let listener: HttpListener;
let port: number;
const seen: string[] = [];

beforeAll(async () => {
  listener = openHttpListener((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume();
    response.end('ok');
  });
  port = await listener.listen('127.0.0.1', 0);
});
afterAll(() => listener.drain(AbortSignal.abort()));

/** The status of each response until the connection closes, as the last request demands. */
async function statuses(raw: string): Promise<string[]> {
  const client = connect(port, '127.0.0.1');
  client.write(Buffer.from(raw, 'latin1'));
  const answer = await text(client);
  return [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status);
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const get = (headers: string, rest = ''): string => `GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n${rest}`;

test.for([
  ['both lengths', get('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['both lengths in reverse order', get('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['two lengths', get('Content-Length: 0\r\nContent-Length: 38\r\n', SMUGGLED)],
  ['the same length twice', get('Content-Length: 4\r\nContent-Length: 4\r\n', 'abcd')],
  ['a list of lengths', get('Content-Length: 4, 4\r\n', 'abcd')],
  ['a signed length', get('Content-Length: +4\r\n', 'abcd')],
  ['a hexadecimal length', get('Content-Length: 0x4\r\n', 'abcd')],
  ['an unknown coding', get('Transfer-Encoding: xchunked\r\n', SMUGGLED)],
  ['a coding before chunked', get('Transfer-Encoding: identity, chunked\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['a coding after chunked', get('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['chunked twice', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
  ['chunked after a vertical tab', get('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n')],
  ['chunked in HTTP/1.0', `GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['bare line feeds', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['one bare line feed', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
  ['a bare carriage return', 'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n'],
  ['a folded header', get('X: b\r\n c\r\n')],
  ['a space before the colon', get('Content-Length : 4\r\n', 'abcd')],
  ['a header without a name', get(': x\r\n')],
  ['NUL in a header', get('X: a\0b\r\n')],
  ['two hosts', get('Host: b\r\n')],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['NUL in the target', 'GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['bytes past ASCII in the target', 'GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['an unknown method', 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n'],
] as const)('%s: 400, and no later bytes are taken for a request', async ([, raw]) => {
  const before = seen.length;
  expect(await statuses(raw)).toEqual(['400']);
  expect(seen.slice(before)).toEqual([]);
});

test('a malformed chunk closes the connection, and later bytes are not taken for a request', async () => {
  const before = seen.length;
  for (const chunk of ['ZZ\r\n', '1\na\n0\n\n', '-1\r\n', '1\r\nab\r\n0\r\n\r\n'])
    await statuses(get('Transfer-Encoding: chunked\r\n', `${chunk}${SMUGGLED}`));
  expect(seen.slice(before)).not.toContain('GET /smuggled');
});

test('bodies are skipped completely, and the next request is read correctly', async () => {
  const before = seen.length;
  const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  expect(await statuses(get(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED) + last)).toEqual(['200', '200']);
  expect(await statuses(get('Transfer-Encoding: chunked\r\n', `1;a=b\r\nx\r\n0\r\nHost: b\r\n\r\n`) + last)).toEqual([
    '200',
    '200',
  ]);
  expect(seen.slice(before)).toEqual(['GET /', 'GET /last', 'GET /', 'GET /last']);
});

test('CONNECT and Upgrade are ignored', async () => {
  expect(await statuses('CONNECT origin:443 HTTP/1.1\r\nHost: a\r\n\r\n')).toEqual([]);
  for (const protocol of ['websocket', 'h2c'])
    expect(await statuses(get(`Connection: Upgrade, close\r\nUpgrade: ${protocol}\r\n`))).toEqual(['200']);
  expect(await statuses(get('Expect: the impossible\r\nConnection: close\r\n'))).toEqual(['417']);
});

test('8 KiB of headers are accepted', async () => {
  expect(await statuses(get(`X: ${'x'.repeat(8 * 1024)}\r\nConnection: close\r\n`))).toEqual(['200']);
});
