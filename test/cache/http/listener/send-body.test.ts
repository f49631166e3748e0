import { expect, test } from 'vitest';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { sendBody, type SendOptions } from '#cache/http/listener/send-body.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeSocket } from '#test/support/fake-socket.ts';

const KIB = 1024;

/** Sends `count` pieces of 1 MiB; `held` counts those that were taken from the body and not released. */
function start(
  count: number,
  stallLimitMs = 300_000,
  {
    unackedBytes = () => Promise.resolve<number | undefined>(undefined),
    memory = { isRelaxed: true, isQueueFull: false, countQueued: () => {} },
  } = {},
) {
  const clock = fakeClock();
  const pace = new ReaderPace();
  const socket = fakeSocket();
  const body = patternBytes(count * MIB);
  const stalls: string[] = [];
  let held = 0;
  let ended = false;
  async function* pieces(): AsyncGenerator<Piece, void, void> {
    try {
      for (let at = 0; at < body.length; at += MIB) {
        held++;
        let released = false;
        const release = () => {
          expect(released).toBe(false);
          released = true;
          held--;
        };
        yield { bytes: body.subarray(at, at + MIB), source: 'store', release };
      }
    } finally {
      ended = true;
    }
  }
  let served = 0;
  const options: SendOptions = {
    clock,
    pace,
    stallLimitMs: () => stallLimitMs,
    unackedBytes,
    memory,
    onServed: (_, lengthBytes) => (served += lengthBytes),
    onStall: (outcome) => stalls.push(outcome),
  };
  const sent = sendBody(socket.response, socket.socket, pieces(), body.length, options);
  sent.catch(() => {});
  return { clock, pace, socket, body, stalls, sent, held: () => held, ended: () => ended, served: () => served };
}

test('a client that takes everything gets more and more at a time, up to 4 MiB plus a piece', async () => {
  const { clock, socket, body, sent, held, served } = start(40);
  await clock.advance(0);
  expect(socket.queued).toEqual([64 * KIB, 64 * KIB]);
  await socket.take(15);
  const unsentBytes = socket.queued.reduce((sum, lengthBytes) => sum + lengthBytes, 0);
  expect(unsentBytes).toBeGreaterThanOrEqual(4 * MIB);
  expect(unsentBytes).toBeLessThanOrEqual(5 * MIB);
  await socket.flow();
  await sent;
  expect(socket.bytes().equals(body)).toBe(true);
  expect([held(), served(), clock.pending()]).toEqual([0, body.length, 0]);
});

test('a client that takes everything at once yields the event loop every 4 MiB', async () => {
  const { socket, sent } = start(40);
  let turns = 0;
  const count = () => {
    turns++;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  await socket.flow(queueMicrotask);
  const before = turns;
  await sent;
  clearImmediate(turning);
  expect(turns - before).toBeGreaterThanOrEqual(9);
});

test('a client that takes nothing for 5 s is reported every 5 s, and continues where it stopped', async () => {
  const { clock, pace, socket, body, stalls, sent } = start(12);
  let reports = 0;
  pace.onStall(() => reports++);
  await clock.advance(0);
  await socket.take(9);
  expect(pace.isSlow).toBe(false);
  await clock.advance(4_999);
  expect(reports).toBe(0);
  await clock.advance(1);
  expect([reports, pace.isSlow]).toEqual([1, true]);
  await clock.advance(60_000);
  expect([reports, stalls]).toEqual([13, ['buffers_released']]);
  await socket.flow();
  await sent;
  expect(socket.bytes().equals(body)).toBe(true);
  expect([pace.isSlow, clock.pending()]).toEqual([false, 0]);
});

test('a slow client gets little at a time, and keeps its connection', async () => {
  const { clock, pace, socket, stalls } = start(2);
  await clock.advance(5_000);
  expect(pace.isSlow).toBe(true);
  for (let i = 0; i < 12; i++) {
    await socket.take(socket.queued.length);
    await clock.advance(6_000);
    expect(Math.max(...socket.queued)).toBeLessThanOrEqual(64 * KIB);
  }
  expect(new Set(stalls)).toEqual(new Set(['buffers_released']));
});

test('a response is closed when its client has read nothing for 300 s', async () => {
  const { clock, socket, sent, stalls, held, ended } = start(4);
  await clock.advance(0);
  await socket.take(3);
  await clock.advance(299_000);
  expect(ended()).toBe(false);
  await clock.advance(1_000);
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect([stalls, ended()]).toEqual([['buffers_released', 'closed'], true]);
  expect(held()).toBe(1);
  socket.close();
  expect([held(), clock.pending()]).toEqual([0, 0]);
});

test('the stall limit is configurable', async () => {
  const { clock, sent } = start(4, 30_000);
  await clock.advance(29_000);
  await clock.advance(2_000);
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
});

/** A client that acknowledges what the kernel holds, while the kernel accepts nothing new. */
function acknowledging() {
  let unacked = 2_500_000;
  return { unackedBytes: () => Promise.resolve<number | undefined>((unacked -= 50_000)) };
}

test('a client that acknowledges bytes is not closed, although its socket accepts nothing for 140 s', async () => {
  const { clock, socket, sent, stalls, body } = start(4, 30_000, acknowledging());
  await clock.advance(0);
  await socket.take(3);
  for (let i = 0; i < 28; i++) await clock.advance(5_000);
  expect(stalls).not.toContain('closed');
  await socket.flow();
  await sent;
  expect(socket.bytes().equals(body)).toBe(true);
});

test('a client that stops to acknowledge is closed within the limit', async () => {
  let unackedBytes = 2_500_000;
  const { clock, sent } = start(4, 30_000, { unackedBytes: () => Promise.resolve(unackedBytes) });
  await clock.advance(0);
  for (let i = 0; i < 4; i++) {
    await clock.advance(5_000);
    unackedBytes -= 50_000;
  }
  for (let i = 0; i < 6; i++) await clock.advance(5_000);
  let isClosed = false;
  sent.catch(() => (isClosed = true));
  await clock.advance(0);
  expect(isClosed).toBe(false);
  await clock.advance(5_000);
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
});

test('a slow client that acknowledges keeps its buffers, unless memory is short', async () => {
  const memory = { isRelaxed: true, isQueueFull: false, countQueued: () => {} };
  const { clock, pace } = start(4, 300_000, { ...acknowledging(), memory });
  let releases = 0;
  pace.onStall(() => releases++);
  await clock.advance(0);
  for (let i = 0; i < 4; i++) await clock.advance(5_000);
  // When it was found slow, and memory held for a fast client was released.
  expect(releases).toBe(1);
  memory.isRelaxed = false;
  for (let i = 0; i < 2; i++) await clock.advance(5_000);
  expect(releases).toBe(3);
});

test('a slow client gets 64 KiB at a time until it takes 4 MiB without a pause', async () => {
  const { clock, pace, socket } = start(20);
  await clock.advance(5_000);
  expect(pace.isSlow).toBe(true);
  for (let burst = 0; burst < 4; burst++) {
    await socket.take(22);
    expect(socket.queued.reduce((sum, lengthBytes) => sum + lengthBytes, 0)).toBeLessThanOrEqual(128 * KIB);
    await clock.advance(2_000);
  }
  expect(pace.isSlow).toBe(true);
  await socket.take(66);
  expect(pace.isSlow).toBe(false);
});

test('a closed connection releases everything, even pieces whose callback never comes', async () => {
  const { clock, socket, sent, held, ended } = start(8);
  await clock.advance(0);
  await socket.take(9);
  expect(held()).toBeGreaterThan(1);
  socket.close();
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect([held(), ended(), clock.pending()]).toEqual([0, true, 0]);
});
