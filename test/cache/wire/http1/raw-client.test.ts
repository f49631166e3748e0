import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import { openRawClient, type RawClient, type RawClientOptions, type RawRequest } from '#cache/wire/http1/raw-client.ts';
import { openTrust } from '#cache/wire/http1/trust.ts';
import { patternBytes, piecesOf } from '#test/support/chunks.ts';
import { collectSink } from '#test/support/collect-sink.ts';
import { reply, startScriptedServer, type Script, type ScriptedServer } from '#test/support/scripted-server.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';

const { signal } = new AbortController();
const get = (over: Partial<RawRequest> = {}): RawRequest => ({ path: '/', headers: {}, signal, ...over });
const OK = 'HTTP/1.1 200 OK\r\n';

async function open(
  script: Script,
  options: Partial<RawClientOptions> = {},
): Promise<{ server: ScriptedServer; client: RawClient }> {
  const server = await startScriptedServer(script);
  const client = openRawClient({ endpoint: server.endpoint, ...options });
  onTestFinished(async () => {
    client.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, client };
}

describe('a request', () => {
  test('is sent exactly as given, with keep-alive and identity encoding', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})));
    await client.request(get({ path: '/a//b/../c%2Fd?x=%20+y', headers: { 'x-name': 'caf\xe9' } }));
    expect(server.requests[0]).toMatchObject({ method: 'GET', target: '/a//b/../c%2Fd?x=%20+y' });
    expect(server.requests[0]?.headers).toEqual({
      'x-name': 'caf\xe9',
      host: client.authority,
      connection: 'keep-alive',
      'accept-encoding': 'identity',
    });
  });

  test.for([
    ['a path with a space', { path: '/a b' }],
    ['a path with a line end', { path: '/a\r\nX: y' }],
    ['a relative path', { path: 'a' }],
    ['a value with a line end', { headers: { 'x-a': 'b\r\nx-c: d' } }],
    ['a value outside Latin-1', { headers: { 'x-a': '🐋' } }],
    ['a name with a space', { headers: { 'x a': 'b' } }],
  ] as const)('%s is refused', async ([, over]) => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})));
    await expect(client.request(get(over))).rejects.toBeInstanceOf(RangeError);
    expect(server.requests).toHaveLength(0);
  });

  test('with a body is sent part by part, in order', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})));
    const body = patternBytes(5_000_000);
    const headers = { 'content-length': String(body.length) };
    await client.request(get({ method: 'PUT', headers, body: piecesOf(body, 1_000_003) }));
    expect(server.requests[0]?.body.equals(body)).toBe(true);
    expect(client.connections).toEqual({ active: 0, idle: 1 });
  });

  test('answered before its body is sent gets the response, and the connection is not reused', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.write(reply('412 Precondition Failed', {}, '<Code>PreconditionFailed</Code>')));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = openRawClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const body = [Buffer.alloc(64 * 1024 * 1024)];
    const headers = { 'content-length': String(64 * 1024 * 1024) };
    expect(await client.request(get({ method: 'PUT', headers, body }))).toMatchObject({ status: 412 });
    expect(client.connections).toEqual({ active: 0, idle: 0 });
    client.close();
    server.close();
  });
});

describe('the body', () => {
  const body = patternBytes(3_000_000);

  test('goes into the sink for any window size and pause, after the head', async () => {
    const { client } = await open((_, answer) => answer.write(reply('206 Partial Content', { 'x-a': 'b' }, body)));
    for (const options of [
      { windowBytes: 1 << 20 },
      { windowBytes: 100_003, pauseAfterWindow: true },
      { windowBytes: 4099, pauseAfterWindow: true },
    ]) {
      const sink = collectSink(options);
      const heads: unknown[] = [];
      const onHead = (status: number, headers: Readonly<Record<string, string>>): void => {
        heads.push([status, headers['x-a'], sink.lengthBytes]);
      };
      const response = await client.request(get({ sink, onHead }));
      expect(response).toMatchObject({ status: 206, body: Buffer.alloc(0) });
      expect(heads).toEqual([[206, 'b', 0]]);
      expect(sink.bytes().equals(body)).toBe(true);
    }
    expect(client.connections).toEqual({ active: 0, idle: 1 });
  });

  test('arrives complete when head and body come in single bytes', async () => {
    const { client } = await open(async (_, { socket }) => {
      socket.setNoDelay(true);
      for (const byte of reply('200 OK', {}, 'hello world')) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
    });
    const sink = collectSink({ windowBytes: 3, pauseAfterWindow: true });
    await client.request(get({ sink }));
    expect(sink.bytes().toString()).toBe('hello world');
  });

  test('that is empty puts no bytes into the sink', async () => {
    const { client } = await open((_, answer) => answer.write(reply('200 OK', {})));
    const sink = collectSink();
    expect(await client.request(get({ sink }))).toMatchObject({ status: 200 });
    expect(sink.lengthBytes).toBe(0);
  });

  test('without a length is refused before its first byte', async () => {
    for (const head of ['', 'transfer-encoding: chunked\r\n']) {
      const { client } = await open((_, answer) => {
        answer.write(`${OK}${head}\r\n5\r\nhello\r\n0\r\n\r\n`);
        answer.end();
      });
      const sink = collectSink();
      await expect(client.request(get({ sink }))).rejects.toMatchObject({ failure: 'protocol' });
      expect(sink.lengthBytes).toBe(0);
    }
  });

  test.for(['end', 'reset'] as const)(
    'that is cut by an %s is an error, with the valid bytes in the sink',
    async (how) => {
      const { client } = await open((_, answer) => {
        answer.write(`${OK}content-length: 10\r\n\r\nhello`);
        answer.socket.once('drain', () => answer[how]());
        answer.socket.write('', () => setImmediate(() => answer[how]()));
      });
      const sink = collectSink();
      await expect(client.request(get({ sink }))).rejects.toMatchObject({ failure: 'closed' });
      expect('hello'.startsWith(sink.bytes().toString())).toBe(true);
      expect(client.connections).toEqual({ active: 0, idle: 0 });
    },
  );

  test('that is longer than announced is truncated, and the connection is not reused', async () => {
    const { client } = await open((_, answer) => answer.write(`${OK}content-length: 5\r\n\r\nhello world`));
    const sink = collectSink();
    await client.request(get({ sink }));
    expect(sink.bytes().toString()).toBe('hello');
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test('is collected for an error, chunked or until the connection ends', async () => {
    const { client } = await open(({ number, connection }, answer) => {
      if (connection + number === 0)
        answer.write('HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
      else {
        answer.write('HTTP/1.1 500 Oops\r\n\r\nfghij');
        answer.end();
      }
    });
    const sink = collectSink();
    expect((await client.request(get({ sink }))).body.toString()).toBe('abcde');
    expect(client.connections.idle).toBe(1);
    expect((await client.request(get({ sink }))).body.toString()).toBe('fghij');
    expect(client.connections.idle).toBe(0);
    expect(sink.lengthBytes).toBe(0);
  });

  test('that is cut still yields the status of an error', async () => {
    const { client } = await open((_, answer) => {
      answer.write('HTTP/1.1 503 Slow Down\r\ncontent-length: 100\r\n\r\n<Code>SlowDown</Code>');
      answer.end();
    });
    expect(await client.request(get())).toMatchObject({ status: 503, body: Buffer.from('<Code>SlowDown</Code>') });
  });

  test('is not awaited for a HEAD', async () => {
    const { client } = await open((_, answer) => answer.write(`${OK}content-length: 500\r\n\r\n`));
    expect((await client.request(get({ method: 'HEAD' }))).headers['content-length']).toBe('500');
    expect(client.connections.idle).toBe(1);
  });
});

describe('a refused response', () => {
  test.for([
    'HTTP/2 200 OK\r\n\r\n',
    'garbage\r\n\r\n',
    `${OK}bad header\r\n\r\n`,
    `${OK}content-length: x\r\n\r\n`,
    'HTTP/1.1 101 Switching\r\n\r\n',
  ])('%j is a protocol error', async (text) => {
    const { client } = await open((_, answer) => answer.write(text));
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'protocol' });
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test('by the caller ends with the caller’s error and closes the connection', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {}, 'hello')));
    const refusal = new OrcaError('object_changed', 'no');
    const sink = collectSink();
    const onHead = (): void => {
      throw refusal;
    };
    await expect(client.request(get({ sink, onHead }))).rejects.toBe(refusal);
    expect(sink.lengthBytes).toBe(0);
    await server.drained();
  });
});

describe('informational responses', () => {
  test('are reported one by one before the final one', async () => {
    const { client } = await open((_, answer) => {
      answer.write('HTTP/1.1 102 Processing\r\nx-a: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n');
      answer.write(reply('200 OK', {}, 'hello'));
    });
    const seen: unknown[] = [];
    const sink = collectSink();
    const onInformational = (status: number, headers: Readonly<Record<string, string>>): void =>
      void seen.push([status, headers['x-a']]);
    expect(await client.request(get({ sink, onInformational }))).toMatchObject({ status: 200 });
    expect(seen).toEqual([
      [102, '1'],
      [103, undefined],
    ]);
    expect(sink.bytes().toString()).toBe('hello');
  });

  test('count as signs of life, but do not extend the first-byte deadline', async () => {
    const { client } = await open((_, { socket }) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20);
      socket.on('close', () => clearInterval(timer));
    });
    let seen = 0;
    const onInformational = (): void => void (seen += 1);
    await expect(
      client.request(get({ onInformational, silenceTimeoutMs: 150, firstByteTimeoutMs: 400 })),
    ).rejects.toMatchObject({ failure: 'first_byte' });
    expect(seen).toBeGreaterThan(3);
  });
});

describe('deadlines', () => {
  test('no sign of life before the head is silence', async () => {
    const { client } = await open(() => undefined);
    await expect(client.request(get({ silenceTimeoutMs: 30, firstByteTimeoutMs: 5000 }))).rejects.toMatchObject({
      failure: 'silence',
    });
  });

  test('no head in time is first_byte, even if part of the head has arrived', async () => {
    const { client } = await open((_, answer) => answer.write('HTTP/1.1 200 OK\r\nx-a'));
    await expect(client.request(get({ firstByteTimeoutMs: 30 }))).rejects.toMatchObject({ failure: 'first_byte' });
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test('a body that stops while there is room stalls', async () => {
    const { client } = await open((_, answer) => answer.write(`${OK}content-length: 10\r\n\r\nhello`));
    const sink = collectSink();
    await expect(client.request(get({ sink, stallTimeoutMs: 30 }))).rejects.toMatchObject({ failure: 'stall' });
    expect(sink.bytes().toString()).toBe('hello');
  });

  test('time without room in the sink does not count as a stall', async () => {
    const { client } = await open((_, answer) => answer.write(reply('200 OK', {}, Buffer.alloc(2_000_000))));
    const sink = collectSink({ pauseAtBytes: 100_000 });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const running = client.request(get({ sink, stallTimeoutMs: 1000 }));
    await sink.has(100_000);
    vi.advanceTimersByTime(60_000);
    sink.resume();
    await running;
    expect(sink.lengthBytes).toBe(2_000_000);
  });

  test('an upload that the server does not read stalls', async () => {
    const server = createServer((socket) => void socket.pause().on('error', () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = openRawClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const body = [Buffer.alloc(64 * 1024 * 1024)];
    const request = get({
      method: 'PUT',
      headers: { 'content-length': String(64 * 1024 * 1024) },
      body,
      stallTimeoutMs: 50,
    });
    await expect(client.request(request)).rejects.toMatchObject({ failure: 'stall' });
    client.close();
    server.close();
  });
});

describe('connecting', () => {
  test('to a closed port fails at once', async () => {
    const server = await startScriptedServer(() => undefined);
    await server[Symbol.asyncDispose]();
    const client = openRawClient({ endpoint: server.endpoint });
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'connect', cause: { code: 'ECONNREFUSED' } });
  });

  test('has a deadline of its own', async () => {
    // A TLS handshake that the server never answers.
    const server = createServer((socket) => void socket.on('error', () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = openRawClient({ endpoint, connectTimeoutMs: 40 });
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'connect' });
    server.close();
  });

  test('is aborted with the call', async () => {
    const server = createServer((socket) => void socket.on('error', () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const aborter = new AbortController();
    const running = openRawClient({ endpoint }).request(get({ signal: aborter.signal }));
    await once(server, 'connection');
    aborter.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    server.close();
  });
});

describe('connections', () => {
  test('are reused, the most recently used first', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {}, 'hi')));
    for (let index = 0; index < 5; index++) await client.request(get({ sink: collectSink() }));
    expect(server.accepted).toBe(1);
    await Promise.all([1, 2, 3].map(() => client.request(get({ sink: collectSink() }))));
    expect(server.accepted).toBe(3);
    expect(client.connections).toEqual({ active: 0, idle: 3 });
  });

  test('beyond the limit are not kept', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})), { maxIdle: 2 });
    await Promise.all([1, 2, 3, 4].map(() => client.request(get())));
    expect(client.connections).toEqual({ active: 0, idle: 2 });
    client.close();
    await server.drained();
  });

  test('are closed after their idle time', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})), { idleTimeoutMs: 30 });
    await client.request(get());
    await server.drained();
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test.for(['connection: close', 'keep-alive: timeout=1'])('are not reused if the server sends %j', async (line) => {
    const { client } = await open((_, answer) => answer.write(`${OK}content-length: 0\r\n${line}\r\n\r\n`));
    await client.request(get());
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test.for(['HTTP/1.1 408 Request Timeout\r\n\r\n', reply('200 OK', {}, 'evil'), '\r\n'])(
    'on which the server sends %j unsolicited are closed at once, and no request gets that response',
    async (unsolicited) => {
      const sockets: Socket[] = [];
      const { server, client } = await open(
        ({ connection }, { socket }) => {
          sockets.push(socket);
          socket.write(reply('200 OK', {}, `connection ${connection}`));
        },
        // It must not be the idle time that closes it.
        { idleTimeoutMs: 600_000 },
      );
      await client.request(get());
      expect(client.connections.idle).toBe(1);
      sockets[0]!.write(unsolicited);
      await vi.waitFor(() => expect(client.connections.idle).toBe(0));
      const sink = collectSink();
      await client.request(get({ sink }));
      expect(sink.bytes().toString()).toBe('connection 1');
      expect(server.accepted).toBe(2);
    },
  );

  test('that are closed on reuse before the first byte are replaced once, transparently', async () => {
    const { server, client } = await open(({ number }, answer) => {
      if (number === 0) answer.write(reply('200 OK', {}, 'hello'));
      else answer.reset();
    });
    await client.request(get({ sink: collectSink() }));
    const sink = collectSink();
    await client.request(get({ sink }));
    expect(sink.bytes().toString()).toBe('hello');
    expect(server.accepted).toBe(2);
  });

  test('that are closed on reuse are an error for a request that is not idempotent', async () => {
    const { server, client } = await open(({ number }, answer) =>
      number === 0 ? answer.write(reply('200 OK', {})) : answer.reset(),
    );
    await client.request(get());
    await expect(client.request(get({ method: 'POST', retryReused: false }))).rejects.toMatchObject({
      failure: 'closed',
    });
    expect(server.accepted).toBe(1);
  });

  test('that are closed on first use, or after the first byte, are an error', async () => {
    const { server, client } = await open(({ connection, number }, answer) => {
      if (connection === 0) answer.end();
      else if (number === 0) answer.write(reply('200 OK', {}));
      else answer.socket.write('H', () => answer.socket.end());
    });
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'closed' });
    await client.request(get());
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'closed' });
    expect(server.accepted).toBe(2);
  });

  test('are closed with their client, which then accepts no more requests', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {})));
    await client.request(get());
    client.close();
    await server.drained();
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'connect' });
  });
});

describe('aborting', () => {
  test('before the head closes the connection and rejects with cancelled', async () => {
    const aborter = new AbortController();
    const { server, client } = await open(() => aborter.abort());
    await expect(client.request(get({ signal: aborter.signal }))).rejects.toMatchObject({ code: 'cancelled' });
    await server.drained();
    expect(client.connections).toEqual({ active: 0, idle: 0 });
  });

  test('while paused ends at once, and a later resume does nothing', async () => {
    const { server, client } = await open((_, answer) => answer.write(reply('200 OK', {}, Buffer.alloc(1_000_000))));
    const aborter = new AbortController();
    const sink = collectSink({ pauseAtBytes: 10_000 });
    const running = client.request(get({ sink, signal: aborter.signal }));
    await sink.has(10_000);
    const reason = new OrcaError('overloaded', 'reader stopped');
    aborter.abort(reason);
    await expect(running).rejects.toBe(reason);
    const before = sink.lengthBytes;
    sink.resume();
    await server.drained();
    expect(sink.lengthBytes).toBe(before);
  });

  test('leaves no listener on a signal that outlives many calls', async () => {
    const { client } = await open((_, answer) => answer.write(reply('200 OK', {}, 'hi')));
    const { signal: long } = new AbortController();
    let listeners = 0;
    const add = long.addEventListener.bind(long);
    const remove = long.removeEventListener.bind(long);
    long.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    long.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    for (let index = 0; index < 5; index++) await client.request(get({ sink: collectSink(), signal: long }));
    expect(listeners).toBe(0);
  });
});

describe('TLS', () => {
  const tls = { cert: TEST_CERTIFICATE, key: TEST_KEY };

  test('with a private CA carries bodies into windows that pause', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'orca-ca-'));
    await writeFile(join(directory, 'ca.crt'), TEST_CA);
    const body = patternBytes(3_000_000);
    await using server = await startScriptedServer(
      (_, answer) => answer.write(reply('200 OK', { connection: 'close' }, body)),
      tls,
    );
    const client = openRawClient({ endpoint: server.endpoint, secureContext: openTrust(join(directory, 'ca.crt')) });
    for (const options of [
      { windowBytes: 1 << 20 },
      { windowBytes: 5003, pauseAfterWindow: true },
      { windowBytes: 300_000, pauseAfterWindow: true },
    ]) {
      const sink = collectSink(options);
      await client.request(get({ sink }));
      expect(sink.bytes().equals(body)).toBe(true);
    }
    client.close();
    await rm(directory, { recursive: true });
  });

  test('connections are reused', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'orca-ca-'));
    await writeFile(join(directory, 'ca.crt'), TEST_CA);
    await using server = await startScriptedServer((_, answer) => answer.write(reply('200 OK', {}, 'hello')), tls);
    const client = openRawClient({ endpoint: server.endpoint, secureContext: openTrust(join(directory, 'ca.crt')) });
    for (let index = 0; index < 5; index++) await client.request(get({ sink: collectSink() }));
    expect(server.accepted).toBe(1);
    expect(client.connections).toEqual({ active: 0, idle: 1 });
    client.close();
    await rm(directory, { recursive: true });
  });

  test('a certificate of an untrusted CA is refused', async () => {
    await using server = await startScriptedServer((_, answer) => answer.write(reply('200 OK', {})), tls);
    const client = openRawClient({ endpoint: server.endpoint });
    await expect(client.request(get())).rejects.toMatchObject({ failure: 'connect' });
    expect(server.requests).toHaveLength(0);
  });

  test('a certificate for another name is refused', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'orca-ca-'));
    await writeFile(join(directory, 'ca.crt'), TEST_CA);
    await using server = await startScriptedServer((_, answer) => answer.write(reply('200 OK', {})), tls);
    const client = openRawClient({
      endpoint: server.endpoint,
      authority: 'other.example',
      secureContext: openTrust(join(directory, 'ca.crt')),
    });
    await expect(client.request(get())).rejects.toMatchObject({
      failure: 'connect',
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
    await rm(directory, { recursive: true });
  });

  test('a CA bundle that is missing or contains no certificate is named', () => {
    expect(() => openTrust('/nowhere/ca.crt')).toThrow(/\/nowhere\/ca\.crt/);
    expect(() => openTrust(import.meta.filename)).toThrow(/no PEM certificate/);
    expect(openTrust('')).toBeUndefined();
  });
});
