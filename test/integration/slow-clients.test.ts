/**
 * Clients that read slowly but steadily do not count as stalled: real sockets, a client with a small receive buffer, and
 * limits that are scaled down.
 */
import { describe, expect, test, type TestContext } from 'vitest';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { openHttpListener } from '#cache/http/listener/http-listener.ts';
import { sendBody, type StallOutcome } from '#cache/http/listener/send-body.ts';
import { openSendQueues } from '#cache/http/listener/send-queues.ts';
import { systemClock, type Clock } from '#shared/clock.ts';
import { readThrottled } from '#test/support/throttled-client.ts';
import { TEST_CERTIFICATE, TEST_KEY } from '#test/support/tls-fixture.ts';

const MIB = 1024 * 1024;
/** The stall check of 5 s becomes 500 ms, the limit of 30 s 3 s: a client of 10 KB/s takes 1.6 s for a TLS record. */
const FASTER = 10;
const LIMIT_MS = 30_000;
/** Three times the limit. */
const SECONDS = 9;
/** More than the fastest of them reads. */
const SIZE_BYTES = 64 * MIB;

const fastClock: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / FASTER, callback) };

async function* zeros(): AsyncGenerator<Piece, void, void> {
  const bytes = Buffer.alloc(MIB);
  for (let at = 0; at < SIZE_BYTES; at += MIB) yield { bytes, source: 'memory', release: () => {} };
}

/** Concurrent tests must register what ends a listener in their own context. */
async function start(tls: boolean, { onTestFinished }: TestContext) {
  const stalls: StallOutcome[] = [];
  const unackedBytes = openSendQueues({ maxAgeMs: 1_000 / FASTER });
  const keys = { cert: Buffer.from(TEST_CERTIFICATE), key: Buffer.from(TEST_KEY) };
  const listener = openHttpListener(
    (request, response) => {
      response.writeHead(200, { 'Content-Length': SIZE_BYTES });
      sendBody(response, request.socket, zeros(), SIZE_BYTES, {
        clock: fastClock,
        pace: new ReaderPace(),
        stallLimitMs: () => LIMIT_MS,
        unackedBytes,
        memory: { isRelaxed: true, isQueueFull: false, countQueued: () => {} },
        onServed: () => {},
        onStall: (outcome) => stalls.push(outcome),
      }).catch(() => response.destroy());
    },
    tls ? { tls: keys } : {},
  );
  const port = await listener.listen('127.0.0.1', 0);
  onTestFinished(async () => void (await listener.drain(AbortSignal.abort())));
  return { port, stalls };
}

describe.each([
  ['HTTP', false],
  ['HTTPS', true],
])('over %s', (_, tls) => {
  test.concurrent.for([10_000, 100_000, 1_000_000])(
    'a client that reads %d bytes a second keeps its connection for longer than the stall limit',
    { timeout: 60_000 },
    async (bytesPerSecond, context) => {
      const { port, stalls } = await start(tls, context);
      const { outcome, gotBytes } = await readThrottled({ port, path: '/', bytesPerSecond, seconds: SECONDS, tls });
      expect(outcome).toBe('left');
      expect(gotBytes).toBeGreaterThan(0.5 * bytesPerSecond * SECONDS);
      expect(stalls).not.toContain('closed');
    },
  );

  test('a client that reads nothing is closed at the limit', { timeout: 60_000 }, async (context) => {
    const { port, stalls } = await start(tls, context);
    await readThrottled({ port, path: '/', bytesPerSecond: 10, seconds: SECONDS, tls });
    expect(stalls.at(-1)).toBe('closed');
  });
});
