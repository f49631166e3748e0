/** The pieces of one response that are being written: what is unsent, when there is room for more, and when to give up. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { OrcaError } from '#cache/core/errors.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { UnackedBytes } from './send-queues.ts';
import { unsentLimit, type QueuedMemory, type UnsentLimit } from './unsent-limit.ts';

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
 * The state of one response, in a closure. As a class it cost 25 % more CPU on small objects: V8 places its instances
 * in the old generation, and with them everything they refer to, until a full garbage collection.
 */
export function openWriter(response: ServerResponse, socket: Socket, lengthBytes: number, options: SendOptions) {
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
  /** Counts bytes as unsent; the returned function is called when they are sent, and releases `pieces`. */
  const count = (bytes: number, pieces: readonly Piece[]): (() => void) => {
    unsentBytes += bytes;
    sentBytes += bytes;
    tls?.countQueued(bytes);
    const stalls = limit.stalls();
    return () => {
      for (const piece of pieces) release(piece);
      unsentBytes -= bytes;
      if (!isClosed) tls?.countQueued(-bytes);
      limit.taken(bytes, stalls);
      taken.wake();
    };
  };

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
      const onTaken = count(bytes.length, isLast ? [piece] : []);
      options.onServed(piece.source, bytes.length);
      if (sentBytes === lengthBytes) response.end(bytes, onTaken);
      else response.write(bytes, onTaken);
    },

    /** Takes over pieces that have all been written, the last one with the end of the response. */
    adopt(pieces: readonly Piece[]): void {
      for (const piece of pieces) unsent.add(piece);
      response.once('finish', count(lengthBytes, pieces));
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

export function connectionClosed(): OrcaError {
  return new OrcaError('cancelled', 'the client closed the connection');
}
