/** Graceful drain, with real sockets and clients that have not read their response yet. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openHttpListener } from '#cache/http/listener/http-listener.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';

/** Small enough for the kernels to buffer for a client that reads nothing. */
const BODY = Buffer.alloc(256 * 1024, 'b');
/** Too large for that. */
const LARGE = Buffer.alloc(16 * 1024 * 1024);
const LONG_MS = 60_000;
const ON_TIME = new AbortController().signal;

afterEach(() => {
  vi.useRealTimers();
});

async function open(isSecure: boolean) {
  const asked: ServerResponse[] = [];
  const tls = isSecure ? { cert: Buffer.from(TEST_CERTIFICATE), key: Buffer.from(TEST_KEY) } : undefined;
  const listener = openHttpListener((_request, response) => void asked.push(response), { tls });
  const port = await listener.listen('127.0.0.1', 0);
  onTestFinished(async () => {
    await listener.drain(AbortSignal.abort());
  });
  const secured = { host: '127.0.0.1', servername: 'localhost', ca: TEST_CA };
  /** Opens a client that sends a request, reads nothing until the test does, and closes after the server. */
  const ask = async (headers = ''): Promise<{ client: Socket; response: ServerResponse }> => {
    const client = isSecure ? tlsConnect({ port, ...secured }) : connect(port, '127.0.0.1');
    client.pause();
    onTestFinished(() => void client.destroy());
    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    await expect.poll(() => asked.length).toBe(1);
    return { client, response: asked.pop()! };
  };
  const drain = (signal: AbortSignal) => {
    const state = { isOver: false };
    const over = listener.drain(signal).finally(() => (state.isOver = true));
    return { state, over };
  };
  /** Waits long enough for the event loop to notice a closed socket. */
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) await once(connect(port, '127.0.0.1'), 'error');
  };
  /** The drain waits until the client has read its whole response. */
  const expectPatience = async ({ state, over }: ReturnType<typeof drain>, client: Socket): Promise<void> => {
    await turns();
    expect(state.isOver).toBe(false);
    expect((await buffer(client)).subarray(-BODY.length)).toEqual(BODY);
    expect(await over).toEqual({ resets: 0 });
  };
  return { listener, port, ask, drain, turns, expectPatience };
}

async function answer(response: ServerResponse): Promise<void> {
  const finished = once(response, 'close');
  response.end(BODY);
  await finished;
}

describe.for([
  ['HTTP', false],
  ['HTTPS', true],
] as const)('%s', ([, isSecure]) => {
  test('delivers the end of a response written before the drain', async () => {
    const { ask, drain, expectPatience } = await open(isSecure);
    const { client, response } = await ask();
    await answer(response);
    await expectPatience(drain(ON_TIME), client);
  });

  test('delivers the end of a response written during the drain', async () => {
    const { ask, drain, expectPatience } = await open(isSecure);
    const { client, response } = await ask();
    const draining = drain(ON_TIME);
    await answer(response);
    await expectPatience(draining, client);
  });

  test.for(['', 'Connection: close\r\n'])(
    'delivers the end of a response whose connection closes anyway %j',
    async (headers) => {
      const { listener, ask, drain, expectPatience } = await open(isSecure);
      const early = headers === '' ? undefined : await ask(headers);
      listener.startDraining();
      const { client, response } = early ?? (await ask());
      await answer(response);
      await expectPatience(drain(ON_TIME), client);
    },
  );

  test('resets a client that has not read its response in time', async () => {
    const { ask, drain } = await open(isSecure);
    const { client, response } = await ask();
    response.end(LARGE);
    const outOfTime = new AbortController();
    const { over } = drain(outOfTime.signal);
    outOfTime.abort();
    expect(await over).toEqual({ resets: 1 });
    await expect(buffer(client)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

test('does not wait for a client that sent nothing, or was answered long ago', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const { listener, port, ask, drain } = await open(false);
  const accepted = once(listener.server, 'connection');
  const silent = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void silent.destroy());
  await accepted;
  const { response } = await ask();
  await answer(response);
  vi.advanceTimersByTime(LONG_MS);
  expect(await drain(ON_TIME).over).toEqual({ resets: 0 });
});

test('does not answer a request that arrives during the half-close', async () => {
  const { ask, drain, turns } = await open(false);
  const { client, response } = await ask();
  await answer(response);
  const { over } = drain(ON_TIME);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await turns();
  expect((await buffer(client)).toString('latin1').match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(await over).toEqual({ resets: 0 });
});
