/**
 * Writes pieces of pooled memory to a response, with backpressure, and releases each when nothing can read it any more:
 * on the write's callback or the connection's close, whichever comes first, since Node never calls some callbacks of
 * pipelined responses. Bytes handed to Node can't be taken back, so a slow socket gets little at a time.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { OrcaError } from '#cache/core/errors.ts';
import { KnownPieces } from '#cache/engine/memory/known-pieces.ts';
import type { Piece } from '#cache/engine/memory/piece.ts';
import { signalOf, type SignalSource } from '#shared/abortable.ts';
import type { Soon } from '#shared/soon.ts';
import { connectionClosed, openWriter, type SendOptions } from './body-writer.ts';
import { FIRST_UNSENT_BYTES } from './unsent-limit.ts';

export type { SendOptions, StallOutcome } from './body-writer.ts';

/**
 * A socket that takes everything at once would occupy the event loop until its body ends; after this many bytes it
 * yields. With sixteen such clients the first byte then takes 17 ms instead of 139; 1 MiB would cost a tenth of the
 * rate.
 */
const TURN_BYTES = 4 * 1024 * 1024;

/**
 * The response's socket, once it is this response's turn on the connection: a pipelined request behind another has none
 * yet, and must not fetch bytes that it may never send. Rejects with the signal's reason.
 */
export function ownSocket(response: ServerResponse, signal: SignalSource): Soon<Socket> {
  return response.socket ?? waitForSocket(response, signalOf(signal));
}

async function waitForSocket(response: ServerResponse, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  try {
    await once(response, 'socket', { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  if (response.socket === null) throw connectionClosed();
  return response.socket;
}

/**
 * The same as `sendBody`. A small body that is in memory is written in the present turn; if the kernel takes all of it,
 * nothing remains to wait for, and what a slow client needs is not created.
 */
export function sendSoon(
  response: ServerResponse,
  socket: Socket,
  body: AsyncGenerator<Piece, void, void>,
  lengthBytes: number,
  options: SendOptions,
): Soon<void> {
  // TLS counts its copy of the bytes.
  const isSmall = body instanceof KnownPieces && lengthBytes <= FIRST_UNSENT_BYTES && !(socket instanceof TLSSocket);
  if (!isSmall || socket.destroyed) return sendBody(response, socket, body, lengthBytes, options);
  const pieces = body.takeAll();
  const last = pieces.at(-1);
  for (const piece of pieces) {
    options.onServed(piece.source, piece.bytes.length);
    if (piece === last) response.end(piece.bytes);
    else response.write(piece.bytes);
  }
  if (socket.writableLength > 0 || socket.destroyed) return whenTaken(response, socket, pieces, lengthBytes, options);
  for (const piece of pieces) piece.release();
}

/** Waits for the socket to take pieces that were written, and the end of the response with them. */
async function whenTaken(
  response: ServerResponse,
  socket: Socket,
  pieces: readonly Piece[],
  lengthBytes: number,
  options: SendOptions,
): Promise<void> {
  const writer = openWriter(response, socket, lengthBytes, options);
  writer.adopt(pieces);
  try {
    await writer.room(true);
    if (writer.isClosed() && !response.writableFinished) throw connectionClosed();
  } finally {
    writer.close();
  }
}

/**
 * Sends exactly `lengthBytes`. Rejects when the body fails, the client closes the connection or takes nothing for too
 * long, after releasing everything that is not being sent. After a rejection the caller must end the connection.
 */
export async function sendBody(
  response: ServerResponse,
  socket: Socket,
  body: AsyncGenerator<Piece, void, void>,
  lengthBytes: number,
  options: SendOptions,
): Promise<void> {
  const writer = openWriter(response, socket, lengthBytes, options);
  let turnBytes = 0;
  try {
    for await (const piece of body) {
      writer.begin(piece);
      for (let at = 0; at < piece.bytes.length;) {
        const part = piece.bytes.subarray(at, at + writer.limitBytes());
        at += part.length;
        writer.write(piece, part, at === piece.bytes.length);
        await writer.room(false);
        turnBytes += part.length;
        if (turnBytes < TURN_BYTES) continue;
        turnBytes = 0;
        await nextTurn();
      }
    }
    const sentBytes = writer.sentBytes();
    if (sentBytes !== lengthBytes) throw new OrcaError('internal', `sent ${sentBytes} of ${lengthBytes} bytes`);
    await writer.room(true);
    if (writer.isClosed() && !response.writableFinished) throw connectionClosed();
  } finally {
    writer.close();
  }
}
