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
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { UnackedBytes } from './send-queues.ts';
import { unsentLimit, type QueuedMemory, type UnsentLimit } from './unsent-limit.ts';

/**
 * A socket that takes everything at once would occupy the event loop until its body ends; after this many bytes it
 * yields. With sixteen such clients the first byte then takes 17 ms instead of 139; 1 MiB would cost a tenth of the
 * rate.
 */
const TURN_BYTES = 4 * 1024 * 1024;
/** Longer than a usual network interruption. After that, the buffered memory is more useful to other readers. */
const STALL_MS = 5_000;
/** A stalled socket: its prefetched buffers were released, or, after the stall limit, its response was closed. */
export type StallOutcome = 'buffers_released' | 'closed';

export interface SendMemory extends QueuedMemory {
  /** Otherwise slow clients that make progress release their buffers too. */
  readonly isRelaxed: boolean;
}

export interface SendOptions {
  readonly clock: Clock;
  /** Notified when the socket takes nothing. */
  readonly pace: ReaderPace;
  /** How long a client may acknowledge no bytes before its response is closed. */
  readonly stallLimitMs: () => number;
  /** What the kernel still has to deliver: shows a client's progress while the kernel accepts no further bytes. */
  readonly unackedBytes: UnackedBytes;
  readonly memory: SendMemory;
  onServed(source: Source, lengthBytes: number): void;
  onStall(outcome: StallOutcome): void;
}

/**
 * The response's socket, once it is this response's turn on the connection: a pipelined request behind another has none
 * yet, and must not fetch bytes that it may never send. Rejects with the signal's reason.
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
  if (response.socket === null) throw connectionClosed();
  return response.socket;
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

/**
 * The state of one response, in a closure. As a class it cost 25 % more CPU on small objects: V8 places its instances
 * in the old generation, and with them everything they refer to, until a full garbage collection.
 */
function openWriter(response: ServerResponse, socket: Socket, lengthBytes: number, options: SendOptions) {
  const { clock, pace } = options;
  /** What a TLS socket has not sent exists twice: in pooled memory, and encrypted. */
  const tls = socket instanceof TLSSocket ? options.memory : undefined;
  const limit = unsentLimit(clock, pace, tls);
  const unsent = new Set<Piece>();
  let unsentBytes = 0;
  let sentBytes = 0;
  let isClosed = socket.destroyed;
  const taken = stallTimer(clock);
  const watch = stallWatch(socket, limit, options);

  const release = (piece: Piece): void => {
    if (unsent.delete(piece)) piece.release();
  };
  const onClose = (): void => {
    if (!isClosed) tls?.countQueued(-unsentBytes);
    isClosed = true;
    for (const piece of unsent) release(piece);
    taken.wake();
  };
  socket.once('close', onClose);

  return {
    limitBytes: (): number => limit.bytes(),
    sentBytes: (): number => sentBytes,
    isClosed: (): boolean => isClosed,

    /** Takes over `piece`, which is released after its last write, or when the connection closes. */
    begin(piece: Piece): void {
      unsent.add(piece);
    },

    write(piece: Piece, bytes: Uint8Array, isLast: boolean): void {
      if (isClosed) {
        release(piece);
        throw connectionClosed();
      }
      unsentBytes += bytes.length;
      sentBytes += bytes.length;
      tls?.countQueued(bytes.length);
      options.onServed(piece.source, bytes.length);
      const stalls = limit.stalls();
      const onTaken = (): void => {
        if (isLast) release(piece);
        unsentBytes -= bytes.length;
        if (!isClosed) tls?.countQueued(-bytes.length);
        limit.taken(bytes.length, stalls);
        taken.wake();
      };
      if (sentBytes === lengthBytes) response.end(bytes, onTaken);
      else response.write(bytes, onTaken);
    },

    /** Waits until the unsent bytes are within the limit, or until none are left. */
    async room(isEnd: boolean): Promise<void> {
      watch.reset();
      while (!isClosed && unsentBytes > (isEnd ? 0 : limit.bytes())) {
        if (await taken.next()) watch.reset();
        else await watch.stalled();
      }
    },

    /** If the body failed while bytes were being sent, they are released when the connection closes. */
    close(): void {
      socket.removeListener('close', onClose);
      if (unsent.size === 0) return;
      if (socket.closed) onClose();
      else socket.once('close', onClose);
    },
  };
}

/** Decides what happens to a response whose socket takes no bytes. */
function stallWatch(socket: Socket, limit: UnsentLimit, options: SendOptions) {
  const { pace } = options;
  /** The sum of waits, not of clock time: a suspended process can't know what its clients did. */
  let stalledMs = 0;
  let isReported = false;
  let unackedBytes: number | undefined;
  const hasAcknowledged = async (): Promise<boolean> => {
    const before = unackedBytes;
    unackedBytes = (await options.unackedBytes(socket)) ?? before;
    return before !== undefined && unackedBytes !== before;
  };
  return {
    /** The socket took bytes. */
    reset(): void {
      stalledMs = 0;
      isReported = false;
    },

    /** The socket took no bytes for another STALL_MS. Rejects at the limit. */
    async stalled(): Promise<void> {
      stalledMs += STALL_MS;
      if (await hasAcknowledged()) {
        stalledMs = 0;
        if (pace.isSlow && options.memory.isRelaxed) return;
      }
      if (!isReported) options.onStall('buffers_released');
      isReported = true;
      limit.stalled();
      if (stalledMs < options.stallLimitMs()) return;
      options.onStall('closed');
      throw new OrcaError('cancelled', `the client read no bytes for ${stalledMs / 1000} s`);
    },
  };
}

/** Waits for the socket to take bytes, at most STALL_MS. */
function stallTimer(clock: Clock) {
  let wake: (() => void) | undefined;
  return {
    wake: (): void => wake?.(),
    /** Resolves with false when `wake` was not called in time. */
    next: (): Promise<boolean> =>
      new Promise<boolean>((resolve) => {
        const cancel = clock.after(STALL_MS, () => resolve(false));
        wake = () => {
          cancel();
          resolve(true);
        };
      }),
  };
}

function connectionClosed(): OrcaError {
  return new OrcaError('cancelled', 'the client closed the connection');
}
