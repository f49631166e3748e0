import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { KnownPieces } from '#cache/engine/memory/known-pieces.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { ownSocket, sendSoon } from '#cache/http/listener/send-body.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const KIB = 1024;

/** Sends a body of small pieces; the kernel takes what is written at once, or when the test calls `take`. */
function start({ lengths = [4 * KIB], atOnce = true, destroyed = false } = {}) {
  const clock = fakeClock();
  const socket = Object.assign(new EventEmitter(), { destroyed, closed: destroyed, writableLength: 0 });
  const written: Uint8Array[] = [];
  const write = (bytes: Uint8Array): void => {
    written.push(bytes);
    if (!atOnce) socket.writableLength += bytes.length;
  };
  const response = Object.assign(new EventEmitter(), {
    write,
    end: write,
    writableFinished: false,
  });
  const held = new Set<Uint8Array>();
  const pieces = lengths.map((length, number): Piece => {
    const bytes = new Uint8Array(length).fill(number);
    held.add(bytes);
    const release = () => expect(held.delete(bytes)).toBe(true);
    return { bytes, source: 'memory', release };
  });
  const sum = lengths.reduce((total, length) => total + length, 0);
  const stalls: string[] = [];
  let served = 0;
  const sent = sendSoon(
    response as unknown as ServerResponse,
    socket as unknown as Socket,
    new KnownPieces(pieces),
    sum,
    {
      clock,
      pace: new ReaderPace(),
      stallLimitMs: () => 30_000,
      unackedBytes: () => Promise.resolve(undefined),
      memory: { isRelaxed: true, isQueueFull: false, countQueued: () => {} },
      onServed: (_, length) => (served += length),
      onStall: (outcome) => stalls.push(outcome),
    },
  );
  if (sent instanceof Promise) sent.catch(() => {});
  const take = (): void => {
    socket.writableLength = 0;
    response.writableFinished = true;
    response.emit('finish');
  };
  const close = (): void => {
    socket.destroyed = socket.closed = true;
    socket.emit('close');
  };
  const listeners = () => socket.listenerCount('close') + response.listenerCount('finish');
  return { clock, sent, written, pieces, held, served: () => served, stalls, listeners, take, close, sum };
}

test('what the kernel takes at once is sent within the turn, without a timer and without a listener', () => {
  const { clock, sent, written, pieces, held, served, listeners, sum } = start({ lengths: [4 * KIB, 60 * KIB] });
  expect(sent).toBeUndefined();
  expect(written).toEqual(pieces.map(({ bytes }) => bytes));
  expect([held.size, served(), listeners(), clock.pending()]).toEqual([0, sum, 0, 0]);
});

test('what the kernel does not take at once is kept until it does', async () => {
  const { clock, sent, held, listeners, take } = start({ lengths: [KIB, KIB], atOnce: false });
  await clock.advance(0);
  expect(held.size).toBe(2);
  take();
  await sent;
  expect([held.size, listeners(), clock.pending()]).toEqual([0, 0, 0]);
});

test('a connection that closes before its kernel took the bytes releases them, and the response is cancelled', async () => {
  const { clock, sent, held, close } = start({ atOnce: false });
  await clock.advance(0);
  close();
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect([held.size, clock.pending()]).toEqual([0, 0]);
});

test('a client that takes nothing is closed at the stall limit; its bytes are kept until the connection closes', async () => {
  const { clock, sent, held, stalls, close } = start({ atOnce: false });
  await clock.advance(31_000);
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect(stalls).toEqual(['buffers_released', 'closed']);
  expect(held.size).toBe(1);
  close();
  expect(held.size).toBe(0);
});

test('a connection that is closed already gets nothing', async () => {
  const { sent, held, written } = start({ destroyed: true });
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  expect([held.size, written.length]).toEqual([0, 0]);
});

test('a body above 64 KiB is written as its client takes it', async () => {
  const { clock, sent, written, close } = start({ lengths: [200 * KIB], atOnce: false });
  await clock.advance(0);
  expect(written.map(({ length }) => length)).toEqual([64 * KIB, 64 * KIB]);
  close();
  await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
});

test('a response that has its socket needs no signal', () => {
  const socket = {};
  const signal = () => {
    throw new Error('a signal was created');
  };
  expect(ownSocket({ socket } as unknown as ServerResponse, signal)).toBe(socket);
});
