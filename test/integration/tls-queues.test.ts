/** TLS clients that stop reading: what Node and OpenSSL queue for them is bounded, and counted. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { openHttpListener } from '#cache/http/listener/http-listener.ts';
import { sendBody } from '#cache/http/listener/send-body.ts';
import { unknownUnacked } from '#cache/http/listener/send-queues.ts';
import { sendDocument } from '#cache/http/listener/send-document.ts';
import { systemClock } from '#shared/clock.ts';
import { TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';
import { until } from '#test/support/until.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE_BYTES = 256 * MIB;
const CLIENTS = 8;

async function* zeros(): AsyncGenerator<Piece, void, void> {
  const bytes = Buffer.alloc(MIB);
  for (let at = 0; at < SIZE_BYTES; at += MIB) yield { bytes, source: 'memory', release: () => {} };
}

/** `fullBytes`: from when on the queue is full. */
async function start(fullBytes: number) {
  let queuedBytes = 0;
  let documents = 0;
  const memory = {
    isRelaxed: true,
    get isQueueFull() {
      return queuedBytes > fullBytes;
    },
    countQueued: (lengthBytes: number) => void (queuedBytes += lengthBytes),
  };
  const listener = openHttpListener(
    (request, response) => {
      if (request.url === '/list') {
        void sendDocument(request, response, memory, () => {
          documents++;
          response.end(Buffer.alloc(16 * MIB));
          return Promise.resolve();
        }).catch(() => response.destroy());
        return;
      }
      response.writeHead(200, { 'Content-Length': SIZE_BYTES });
      sendBody(response, request.socket, zeros(), SIZE_BYTES, {
        clock: systemClock,
        pace: new ReaderPace(),
        stallLimitMs: () => 300_000,
        unackedBytes: unknownUnacked,
        memory,
        onServed: () => {},
        onStall: () => {},
      }).catch(() => response.destroy());
    },
    { tls: { cert: Buffer.from(TEST_CERTIFICATE), key: Buffer.from(TEST_KEY) } },
  );
  const port = await listener.listen('127.0.0.1', 0);
  onTestFinished(async () => void (await listener.drain(AbortSignal.abort())));
  const stalled = async (requests: string): Promise<TLSSocket> => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, 'secureConnect');
    socket.write(requests);
    socket.once('data', () => socket.pause());
    return socket;
  };
  return { stalled, queuedBytes: () => queuedBytes, documents: () => documents };
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: any\r\n\r\n`;

/** The number, once it has not changed for half a second. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    await delay(500);
    const now = read();
    if (now > 0 && now === last) return now;
    last = now;
  }
}

test('a TLS client that stops reading has at most 256 KiB and a write queued, which is counted until it leaves', async () => {
  const { stalled, queuedBytes } = await start(Number.POSITIVE_INFINITY);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => stalled(GET('/'))));
  expect(await settled(queuedBytes)).toBeLessThanOrEqual(CLIENTS * 512 * KIB);
  for (const client of clients) client.destroy();
  await until(() => queuedBytes() === 0, 'nothing is queued', 10_000);
});

test('when too much is queued, each TLS client gets 64 KiB', async () => {
  const { stalled, queuedBytes } = await start(0);
  await Promise.all(Array.from({ length: CLIENTS }, () => stalled(GET('/'))));
  expect(await settled(queuedBytes)).toBeLessThanOrEqual(CLIENTS * 128 * KIB);
});

test('pipelined requests for documents queue one at a time, and none while too much is queued', async () => {
  const { stalled, queuedBytes, documents } = await start(MIB);
  const client = await stalled(GET('/list').repeat(20));
  await until(() => documents() > 0, 'the first document is made', 10_000);
  expect(await settled(queuedBytes)).toBeLessThanOrEqual(17 * MIB);
  expect(documents()).toBe(1);
  await stalled(GET('/list'));
  expect(documents()).toBe(1);
  client.destroy();
  await until(() => queuedBytes() === 0, 'nothing is queued', 10_000);
});
