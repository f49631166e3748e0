import { expect, test } from 'vitest';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { sendBody, type SendOptions } from '#cache/http/listener/send-body.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';
import { fakeSocket } from '#test/support/fake-socket.ts';

const KIB = 1024;

/** Sends `count` pieces of 1 MiB; `held` counts those that were taken from the body and not released. */
function start(count: number, stallLimitMs = 300_000) {
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

test('a closed connection releases everything, even pieces whose callback never comes', async () => {
  const { clock, socket, sent, held, ended } = start(8);
  await clock.advance(0);
  await socket.take(9);
  expect(held()).toBeGreaterThan(1);
  socket.close();
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect([held(), ended(), clock.pending()]).toEqual([0, true, 0]);
});
