/** Load shedding, with real sockets against a listener with few connections. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { MAX_PIPELINED } from '#cache/http/listener/connection-table.ts';
import { openHttpListener } from '#cache/http/listener/http-listener.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function open(maxConnections: number, tls?: { cert: Buffer; key: Buffer }) {
  const asked: ServerResponse[] = [];
  const listener = openHttpListener((_request, response) => void asked.push(response), { maxConnections, tls });
  const port = await listener.listen('127.0.0.1', 0);
  const clients: Socket[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.destroy();
    await listener.drain(AbortSignal.abort());
  });
  /** Resolves once the listener has accepted it. */
  const join = async (): Promise<Socket> => {
    const accepted = once(listener.server, 'connection');
    const client = connect(port, '127.0.0.1');
    // Tests observe the end of the connection; a reset is one.
    client.on('error', () => {});
    clients.push(client);
    await accepted;
    return client;
  };
  const answerAll = (): void => {
    for (const response of asked.splice(0)) response.end('ok');
  };
  return { listener, port, asked, join, answerAll };
}

test('a new connection evicts the longest idle one, whether it sent nothing or half a request', async () => {
  const { asked, join } = await open(3);
  const silent = await join();
  const busy = await join();
  busy.write(GET);
  await expect.poll(() => asked.length).toBe(1);
  const slow = await join();
  slow.write('GET / HTTP/1.1\r\nHost');
  const [first, second] = [await join(), await join()];
  expect(await text(silent)).toBe('');
  expect(await text(slow)).toBe('');
  first.write(GET);
  second.write(GET);
  await expect.poll(() => asked.length).toBe(3);
  expect(busy.readableEnded).toBe(false);
});

test('when all connections are busy, a new one is refused with 503', async () => {
  const { asked, join, answerAll } = await open(2);
  const busy = [await join(), await join()];
  for (const client of busy) client.write(GET);
  await expect.poll(() => asked.length).toBe(2);
  const refused = await join();
  refused.write(GET);
  expect(await text(refused)).toMatch(/^HTTP\/1\.1 503 [^]*Retry-After: 1\r\n/);
  expect(asked).toHaveLength(2);
  // A connection whose response has ended is idle, and can be evicted.
  const answered = once(busy[0]!, 'data');
  answerAll();
  await answered;
  const welcome = await join();
  welcome.write(GET);
  await expect.poll(() => asked.length).toBe(1);
});

test('a connection with too many pipelined requests is closed', async () => {
  const { asked, join } = await open(10);
  const greedy = await join();
  greedy.write(GET.repeat(MAX_PIPELINED + 1));
  expect(await text(greedy)).toBe('');
  expect(asked).toHaveLength(MAX_PIPELINED);
  const modest = await join();
  modest.write(GET.repeat(2));
  await expect.poll(() => asked.length).toBe(MAX_PIPELINED + 2);
});

test('unfinished handshakes do not lock out clients', async () => {
  const { asked, port, join } = await open(4, { cert: Buffer.from(TEST_CERTIFICATE), key: Buffer.from(TEST_KEY) });
  for (let round = 0; round < 20; round++) await join();
  const client = tlsConnect({ port, host: '127.0.0.1', servername: 'localhost', ca: TEST_CA });
  onTestFinished(() => void client.destroy());
  client.write(GET);
  await expect.poll(() => asked.length).toBe(1);
});
