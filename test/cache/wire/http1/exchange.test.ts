import { expect, test } from 'vitest';
import type { Connection, Receiver } from '#cache/wire/http1/connection.ts';
import { runExchange } from '#cache/wire/http1/exchange.ts';
import { collectSink, type CollectSink } from '#test/support/collect-sink.ts';

const BODY = Buffer.from('hello world');
const HEAD = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n`);

/** A request on a connection whose bytes and end the test delivers. */
function open(sink: CollectSink) {
  let receiver: Receiver | undefined;
  let isReused: boolean | undefined;
  const connection: Connection = {
    destroyed: false,
    receive: (next) => (receiver = next),
    resume: () => {},
    write: (_bytes, done) => done(undefined),
    setIdle: () => {},
    setActive: () => {},
    destroy: () => {},
  };
  const release = (isReusable: boolean) => (isReused = isReusable);
  const { signal } = new AbortController();
  const outcome = runExchange({ connection, reused: false, release }, { path: '/', headers: {}, sink, signal }, 'host');
  return {
    outcome,
    deliver: (bytes: Buffer) => receiver!.received(bytes.length, bytes),
    end: () => receiver!.ended(undefined),
    get isReused() {
      return isReused;
    },
  };
}

test('a connection that ends while the whole body waits for room is no failure', async () => {
  const sink = collectSink();
  sink.pause();
  const exchange = open(sink);
  // Reading pauses; TLS may still deliver the end, which arrived in the same record.
  expect(exchange.deliver(Buffer.concat([HEAD, BODY]))).toBe(false);
  exchange.end();
  sink.resume();
  expect(await exchange.outcome).toMatchObject({ kind: 'answered', response: { status: 200 } });
  expect(sink.bytes().equals(BODY)).toBe(true);
});

test('a connection that ends while a part of the body waits for room, and other bytes are missing, is cut', async () => {
  const sink = collectSink();
  sink.pause();
  const exchange = open(sink);
  exchange.deliver(Buffer.concat([HEAD, BODY.subarray(0, 5)]));
  exchange.end();
  expect(await exchange.outcome).toMatchObject({ kind: 'failed', error: { failure: 'closed' } });
  expect(exchange.isReused).toBe(false);
});
