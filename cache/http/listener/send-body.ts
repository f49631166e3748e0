/**
 * Writes pieces of pooled memory to a response and gives each back when nobody can read it any more: on the first of
 * the write's callback and the connection's close, since Node never calls some callbacks of pipelined responses. What
 * has been handed to Node can't be taken back, so a socket that is slow is handed little.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { OrcaError } from '#cache/core/errors.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Four segments in the socket's queue keep it busy while the next are fetched (4.7 against 4.2 GB/s with one). */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/**
 * Nobody knows yet how fast the client is: what it takes is added, so that a fast one has all after a MiB or two, and
 * one of 50 KB/s shows every second or two that it is alive.
 */
const FIRST_UNSENT_BYTES = 64 * 1024;
/**
 * A socket that takes all it is given would keep the event loop until its body ends: after so much the others have their
 * turn. Sixteen such clients see their first byte after 17 ms and not 139; turns of 1 MiB would cost a tenth of the rate.
 */
const TURN_BYTES = 4 * 1024 * 1024;
/** Longer than what a network loses and finds again; the memory is of use to somebody else. */
const STALL_MS = 5_000;

export interface Sending {
  readonly clock: Clock;
  /** Told when the socket takes nothing. */
  readonly pace: ReaderPace;
  /** A socket that takes no byte for so long has nobody behind it. */
  readonly stallLimitMs: () => number;
  onServed(source: Source, lengthBytes: number): void;
  onStall(outcome: 'gave_back' | 'cut'): void;
}

/**
 * The response's socket, once it is its turn on the connection: a pipelined request behind another has none, and must
 * not fetch what it may never send. Rejects with the signal's reason.
 */
export async function ownSocket(response: ServerResponse, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  if (response.socket === null) {
    try {
      await once(response, 'socket', { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }
  if (response.socket === null) throw new OrcaError('cancelled', 'the connection is gone');
  return response.socket;
}

/**
 * Sends exactly `lengthBytes`; rejects when the body fails, the client goes, or takes nothing for too long, with
 * everything given back that is not on its way. After a rejection the connection has to be ended.
 */
export async function sendBody(
  response: ServerResponse,
  socket: Socket,
  body: AsyncGenerator<Piece, void, void>,
  lengthBytes: number,
  sending: Sending,
): Promise<void> {
  const { clock, pace } = sending;
  const unsent = new Set<Piece>();
  let unsentBytes = 0;
  let sentBytes = 0;
  /** So much may be unsent while more is fetched, and goes into one write. */
  let limitBytes = FIRST_UNSENT_BYTES;
  let stalls = 0;
  let turnBytes = 0;
  let closed = socket.destroyed;
  let wake: (() => void) | undefined;

  const giveBack = (piece: Piece) => {
    if (unsent.delete(piece)) piece.release();
  };
  const onClose = () => {
    closed = true;
    for (const piece of unsent) giveBack(piece);
    wake?.();
  };
  const write = (piece: Piece, bytes: Uint8Array, isLast: boolean) => {
    unsentBytes += bytes.length;
    sentBytes += bytes.length;
    sending.onServed(piece.source, bytes.length);
    const stallsBefore = stalls;
    const onTaken = () => {
      if (isLast) giveBack(piece);
      unsentBytes -= bytes.length;
      // What was handed over before a stall says nothing of how fast it goes now.
      if (stalls === stallsBefore) limitBytes = Math.min(limitBytes + bytes.length, MAX_UNSENT_BYTES);
      if (limitBytes === MAX_UNSENT_BYTES) pace.recovered();
      wake?.();
    };
    if (sentBytes === lengthBytes) response.end(bytes, onTaken);
    else response.write(bytes, onTaken);
  };
  /** Resolves with false when nothing is taken for a while. */
  const nextTaken = () =>
    new Promise<boolean>((resolve) => {
      const cancel = clock.after(STALL_MS, () => resolve(false));
      wake = () => {
        cancel();
        resolve(true);
      };
    });
  /** Waits until no more than `limit()` bytes are unsent. */
  const room = async (limit: () => number) => {
    // Counted in waits and not by the clock: a process that stood still can't say what its clients did.
    let stalledMs = 0;
    while (!closed && unsentBytes > limit()) {
      if (await nextTaken()) {
        stalledMs = 0;
        continue;
      }
      if (stalledMs === 0) sending.onStall('gave_back');
      stalledMs += STALL_MS;
      stalls++;
      limitBytes = FIRST_UNSENT_BYTES;
      pace.stalled();
      if (stalledMs >= sending.stallLimitMs()) {
        sending.onStall('cut');
        throw new OrcaError('cancelled', `the client has taken no byte for ${stalledMs / 1000} s`);
      }
    }
  };

  socket.once('close', onClose);
  try {
    for await (const piece of body) {
      unsent.add(piece);
      for (let at = 0; at < piece.bytes.length;) {
        if (closed) {
          giveBack(piece);
          throw new OrcaError('cancelled', 'the client has gone');
        }
        const part = piece.bytes.subarray(at, at + limitBytes);
        at += part.length;
        write(piece, part, at === piece.bytes.length);
        await room(() => limitBytes);
        turnBytes += part.length;
        if (turnBytes < TURN_BYTES) continue;
        turnBytes = 0;
        await nextTurn();
      }
    }
    if (sentBytes !== lengthBytes) throw new OrcaError('internal', `sent ${sentBytes} of ${lengthBytes} bytes`);
    await room(() => 0);
    if (closed && !response.writableFinished) throw new OrcaError('cancelled', 'the client has gone');
  } finally {
    socket.removeListener('close', onClose);
    if (unsent.size > 0) giveBackOnClose(socket, unsent, giveBack);
  }
}

/** The body failed while bytes were on their way: they are given back when the connection is gone. */
function giveBackOnClose(socket: Socket, unsent: ReadonlySet<Piece>, giveBack: (piece: Piece) => void): void {
  const giveAllBack = () => {
    for (const piece of unsent) giveBack(piece);
  };
  if (socket.closed) giveAllBack();
  else socket.once('close', giveAllBack);
}
