/**
 * Writes pieces of pooled memory to a response, with backpressure, and releases each when nothing can read it any more:
 * on the write's callback or the connection's close, whichever comes first, since Node never calls some callbacks of
 * pipelined responses. Bytes handed to Node can't be taken back, so a slow socket is handed little at a time.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { OrcaError } from '#cache/core/errors.ts';
import type { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { Piece, Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';

/** Four segments in the socket's queue keep it busy while the next are fetched (4.7 GB/s, against 4.2 with one). */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/**
 * The limit for a client of unknown speed. What it takes is added to the limit: a fast client reaches the maximum after
 * a MiB or two, and one of 50 KB/s shows every second or two that it is alive.
 */
const FIRST_UNSENT_BYTES = 64 * 1024;
/**
 * A socket that takes everything at once would occupy the event loop until its body ends; after this many bytes it
 * yields. With sixteen such clients the first byte then takes 17 ms instead of 139; 1 MiB would cost a tenth of the rate.
 */
const TURN_BYTES = 4 * 1024 * 1024;
/** Longer than a usual network interruption. After it the buffered memory is more useful to other readers. */
const STALL_MS = 5_000;

/** A stalled socket: its prefetched buffers were released, or, after the stall limit, its response was closed. */
export type StallOutcome = 'buffers_released' | 'closed';

export interface SendOptions {
  readonly clock: Clock;
  /** Notified when the socket takes nothing. */
  readonly pace: ReaderPace;
  /** How long a socket may accept no bytes before its response is closed. */
  readonly stallLimitMs: () => number;
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
export function sendBody(
  response: ServerResponse,
  socket: Socket,
  body: AsyncGenerator<Piece, void, void>,
  lengthBytes: number,
  options: SendOptions,
): Promise<void> {
  return new BodySender(response, socket, lengthBytes, options).send(body);
}

class BodySender {
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #lengthBytes: number;
  readonly #options: SendOptions;
  readonly #unsent = new Set<Piece>();
  #unsentBytes = 0;
  #sentBytes = 0;
  /** The maximum number of unsent bytes while more is fetched, and the maximum size of one write. */
  #limitBytes = FIRST_UNSENT_BYTES;
  #stalls = 0;
  #isClosed: boolean;
  #wake: (() => void) | undefined;
  readonly #onClose = (): void => {
    this.#isClosed = true;
    for (const piece of this.#unsent) this.#release(piece);
    this.#wake?.();
  };

  constructor(response: ServerResponse, socket: Socket, lengthBytes: number, options: SendOptions) {
    this.#response = response;
    this.#socket = socket;
    this.#lengthBytes = lengthBytes;
    this.#options = options;
    this.#isClosed = socket.destroyed;
  }

  async send(body: AsyncGenerator<Piece, void, void>): Promise<void> {
    let turnBytes = 0;
    this.#socket.once('close', this.#onClose);
    try {
      for await (const piece of body) {
        this.#unsent.add(piece);
        for (let at = 0; at < piece.bytes.length;) {
          if (this.#isClosed) {
            this.#release(piece);
            throw connectionClosed();
          }
          const part = piece.bytes.subarray(at, at + this.#limitBytes);
          at += part.length;
          this.#write(piece, part, at === piece.bytes.length);
          await this.#room(false);
          turnBytes += part.length;
          if (turnBytes < TURN_BYTES) continue;
          turnBytes = 0;
          await nextTurn();
        }
      }
      if (this.#sentBytes !== this.#lengthBytes)
        throw new OrcaError('internal', `sent ${this.#sentBytes} of ${this.#lengthBytes} bytes`);
      await this.#room(true);
      if (this.#isClosed && !this.#response.writableFinished) throw connectionClosed();
    } finally {
      this.#socket.removeListener('close', this.#onClose);
      if (this.#unsent.size > 0) this.#releaseOnClose();
    }
  }

  #write(piece: Piece, bytes: Uint8Array, isLast: boolean): void {
    this.#unsentBytes += bytes.length;
    this.#sentBytes += bytes.length;
    this.#options.onServed(piece.source, bytes.length);
    const stallsBefore = this.#stalls;
    const onTaken = (): void => {
      if (isLast) this.#release(piece);
      this.#unsentBytes -= bytes.length;
      // Bytes handed over before a stall do not indicate the speed after it.
      if (this.#stalls === stallsBefore) this.#limitBytes = Math.min(this.#limitBytes + bytes.length, MAX_UNSENT_BYTES);
      if (this.#limitBytes === MAX_UNSENT_BYTES) this.#options.pace.recovered();
      this.#wake?.();
    };
    if (this.#sentBytes === this.#lengthBytes) this.#response.end(bytes, onTaken);
    else this.#response.write(bytes, onTaken);
  }

  /** Waits until the unsent bytes are within the limit, or until none are left. */
  async #room(isEnd: boolean): Promise<void> {
    // The sum of waits, not of clock time: a suspended process can't know what its clients did.
    let stalledMs = 0;
    while (!this.#isClosed && this.#unsentBytes > (isEnd ? 0 : this.#limitBytes)) {
      if (await this.#nextTaken()) {
        stalledMs = 0;
        continue;
      }
      if (stalledMs === 0) this.#options.onStall('buffers_released');
      stalledMs += STALL_MS;
      this.#stalls++;
      this.#limitBytes = FIRST_UNSENT_BYTES;
      this.#options.pace.stalled();
      if (stalledMs >= this.#options.stallLimitMs()) {
        this.#options.onStall('closed');
        throw new OrcaError('cancelled', `the client read no bytes for ${stalledMs / 1000} s`);
      }
    }
  }

  /** Resolves with false when the socket takes nothing for STALL_MS. */
  #nextTaken(): Promise<boolean> {
    return new Promise<boolean>((resolve) => {
      const cancel = this.#options.clock.after(STALL_MS, () => resolve(false));
      this.#wake = () => {
        cancel();
        resolve(true);
      };
    });
  }

  #release(piece: Piece): void {
    if (this.#unsent.delete(piece)) piece.release();
  }

  /** The body failed while bytes were being sent: they are released when the connection is closed. */
  #releaseOnClose(): void {
    if (this.#socket.closed) this.#onClose();
    else this.#socket.once('close', this.#onClose);
  }
}

function connectionClosed(): OrcaError {
  return new OrcaError('cancelled', 'the client closed the connection');
}
