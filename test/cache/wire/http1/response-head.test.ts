import { describe, expect, test } from 'vitest';
import { framingOf, parseHead, parseLength } from '#cache/wire/http1/response-head.ts';

const head = (...lines: string[]): string => ['HTTP/1.1 200 OK', ...lines].join('\r\n');

describe('a response head', () => {
  test('has its status and fields parsed: names in lower case, values unchanged', () => {
    const parsed = parseHead(
      'HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nETag:"a:b"\r\nX-Amz-Meta-Name:   caf\xe9  \r\nEmpty:',
    );
    expect(parsed.status).toBe(206);
    expect({ ...parsed.headers }).toEqual({
      'content-length': '12',
      etag: '"a:b"',
      'x-amz-meta-name': 'caf\xe9',
      empty: '',
    });
  });

  test.for(['HTTP/1.1 200', 'HTTP/1.1 200 ', 'HTTP/1.0 404 Not Found', 'HTTP/1.1 503 caf\xe9'])(
    '%j is a status line',
    (line) => {
      expect(parseHead(line).status).toBe(Number(line.slice(9, 12)));
    },
  );

  test.for([
    '',
    'HTTP/2 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1  200 OK',
    'ICY 200 OK',
    '200 OK',
    'HTTP/1.1 200OK',
  ])('%j is not a status line', (line) => {
    expect(() => parseHead(line)).toThrow(expect.objectContaining({ failure: 'protocol' }));
  });

  test.for([
    'no colon',
    'Name : value',
    ' folded: line',
    '\tfolded',
    ': nameless',
    'Na me: x',
    'Name: a\x00b',
    'Name: a\nb',
    'Name: a\rb',
    'N\xe9: x',
    '',
  ])('the field line %j is refused', (line) => {
    expect(() => parseHead(head('A: b', line, 'C: d'))).toThrow(expect.objectContaining({ failure: 'protocol' }));
  });

  test.for(['Content-Length', 'Transfer-Encoding', 'Content-Range', 'ETag', 'Content-Encoding'])(
    'a second %s is refused, whether it is equal or not',
    (name) => {
      for (const second of ['5', '6'])
        expect(() => parseHead(head(`${name}: 5`, `${name.toLowerCase()}: ${second}`))).toThrow(
          expect.objectContaining({ failure: 'protocol' }),
        );
    },
  );

  test('has other repeated fields joined', () => {
    expect(parseHead(head('Vary: a', 'vary: b')).headers['vary']).toBe('a, b');
  });

  test('treats a field named like an Object property as a plain field', () => {
    const { headers } = parseHead(head('__proto__: x', 'constructor: y'));
    expect(headers['__proto__']).toBe('x');
    expect(headers['constructor']).toBe('y');
    expect(headers['toString']).toBeUndefined();
  });

  test.for([
    [head(), true],
    [head('Connection: close'), false],
    [head('Connection: Keep-Alive, Close'), false],
    ['HTTP/1.0 200 OK', false],
    ['HTTP/1.0 200 OK\r\nConnection: keep-alive', true],
  ] as const)('%j keeps the connection alive: %s', ([text, keepAlive]) => {
    expect(parseHead(text).keepAlive).toBe(keepAlive);
  });
});

describe('the end of a body', () => {
  test.for([
    ['GET', head('Content-Length: 5'), { kind: 'length', lengthBytes: 5 }],
    ['GET', head('Content-Length: 0'), { kind: 'none' }],
    ['GET', head('Transfer-Encoding: Chunked'), { kind: 'chunked' }],
    ['GET', head(), { kind: 'until-close' }],
    ['HEAD', head('Content-Length: 5'), { kind: 'none' }],
    ['GET', 'HTTP/1.1 204 No Content', { kind: 'none' }],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5', { kind: 'none' }],
    ['GET', 'HTTP/1.1 102 Processing', { kind: 'none' }],
  ] as const)('is determined for a response to %s: %j', ([method, text, framing]) => {
    expect(framingOf(method, parseHead(text))).toEqual(framing);
  });

  test.for([
    head('Content-Length: 5', 'Transfer-Encoding: chunked'),
    head('Transfer-Encoding: gzip, chunked'),
    head('Content-Length: 5, 5'),
  ])('%j is refused', (text) => {
    expect(() => framingOf('GET', parseHead(text))).toThrow(expect.objectContaining({ failure: 'protocol' }));
  });

  test.for(['', '-1', '+5', '5.0', '0x5', '1e3', ' 5', '9007199254740993', '99999999999999999999'])(
    '%j is not a length',
    (text) => {
      expect(() => parseLength(text)).toThrow(expect.objectContaining({ failure: 'protocol' }));
    },
  );
});
