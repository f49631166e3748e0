/**
 * One response and its socket, as `http/listener/send-body.ts` writes to them. Bytes are sent in pieces, and each piece
 * is read at the moment it is sent, so memory that is reused too early is detected.
 */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pieceBytes } from './flow.ts';
import type { Random } from './random.ts';
import { NO_OWNER, type Owner, type World } from './world.ts';

export interface Receiver {
  readonly owner: Owner;
  /** Accepts bytes and returns their number. After fewer than all, it calls `resume` when it has room again. */
  data(bytes: Uint8Array): number;
  /** The body is complete. */
  end(): void;
  /** The connection was closed before the end of the body. */
  cut(): void;
}

export interface ConnectionFault {
  readonly what: 'cut' | 'stall';
  readonly afterBytes: number;
}

export interface ConnectionOptions {
  readonly server: Owner;
  readonly receiver: Receiver;
  readonly random: Random;
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  readonly fault?: ConnectionFault | undefined;
}

interface Write {
  readonly bytes: Uint8Array;
  readonly written: (() => void) | undefined;
  readonly isLast: boolean;
}

/** The part of a socket that `sendBody` and `sendSoon` use. */
class SimSocket extends EventEmitter {
  destroyed = false;
  closed = false;
  readonly #unsentBytes: () => number;

  constructor(unsentBytes: () => number) {
    super();
    this.#unsentBytes = unsentBytes;
  }

  get writableLength(): number {
    return this.#unsentBytes();
  }
}

export class Connection {
  readonly #world: World;
  readonly #options: ConnectionOptions;
  readonly #queue: Write[] = [];
  readonly #socket = new SimSocket(() => this.#queue.reduce((sum, { bytes }) => sum + bytes.length, 0));
  readonly #onFinish: (() => void)[] = [];
  #sentOfFirst = 0;
  #sentBytes = 0;
  #writtenBytes = 0;
  #pumping = false;
  #isClosed = false;
  #isBlocked = false;
  #isFinished = false;

  constructor(world: World, options: ConnectionOptions) {
    this.#world = world;
    this.#options = options;
    // As many as pipelined requests may have; more of them indicate a leak.
    this.#socket.setMaxListeners(4);
  }

  get socket(): Socket {
    return this.#socket as unknown as Socket;
  }

  get response(): ServerResponse {
    const write = (bytes: Uint8Array, written?: () => void): boolean => this.#write(bytes, written, false);
    const end = (bytes: Uint8Array, written?: () => void): boolean => this.#write(bytes, written, true);
    const isFinished = (): boolean => this.#isFinished;
    const once = (_event: 'finish', listener: () => void): unknown => this.#onFinish.push(listener);
    return {
      write,
      end,
      once,
      get writableFinished() {
        return isFinished();
      },
    } as unknown as ServerResponse;
  }

  /** The bytes that the server has written so far. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The number of listeners that were not removed. */
  get listeners(): number {
    return this.#socket.listenerCount('close');
  }

  onClose(listener: () => void): () => void {
    this.#socket.once('close', listener);
    return () => this.#socket.removeListener('close', listener);
  }

  /** The receiver resumes reading. */
  resume(): void {
    this.#isBlocked = false;
    this.#pump();
  }

  /** The server closes the connection: the receiver sees it broken. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeServer(0);
    this.#world.at(this.#options.latencyMs, this.#options.receiver.owner, 'cut', () => this.#options.receiver.cut());
  }

  /** The receiver closes the connection, or has died. */
  hangUp(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeServer(this.#options.latencyMs);
  }

  /** No bytes pass until `resume`. */
  block(): void {
    this.#isBlocked = true;
  }

  /** The network fails: both sides see the connection broken. */
  cut(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeServer(this.#options.latencyMs);
    this.#world.at(this.#options.latencyMs, this.#options.receiver.owner, 'cut', () => this.#options.receiver.cut());
  }

  #closeServer(delayMs: number): void {
    const unsent = this.#queue.splice(0);
    this.#world.at(delayMs, this.#options.server, 'close', () => {
      this.#socket.destroyed = true;
      this.#socket.closed = true;
      // Node calls the callbacks of some of the writes that were never sent, but not of all.
      if (this.#options.random.chance(0.5)) for (const { written } of unsent) written?.();
      this.#socket.emit('close');
    });
  }

  #write(bytes: Uint8Array, written: (() => void) | undefined, isLast: boolean): boolean {
    this.#writtenBytes += bytes.length;
    if (this.#isClosed) return false;
    this.#queue.push({ bytes, written, isLast });
    this.#pump();
    return false;
  }

  #pump(): void {
    const first = this.#queue[0];
    if (this.#pumping || this.#isClosed || this.#isBlocked || first === undefined) return;
    const { random, bytesPerMs, latencyMs, fault, receiver } = this.#options;
    let length = Math.min(first.bytes.length - this.#sentOfFirst, pieceBytes(random, bytesPerMs));
    if (fault !== undefined) {
      if (this.#sentBytes >= fault.afterBytes) {
        this.#world.note('fault', `a stream's ${fault.what} after ${this.#sentBytes} bytes`);
        if (fault.what === 'cut') this.cut();
        return;
      }
      length = Math.min(length, fault.afterBytes - this.#sentBytes);
    }
    this.#pumping = true;
    const delayMs = (this.#sentBytes === 0 ? latencyMs : 0) + length / bytesPerMs;
    this.#world.at(delayMs, receiver.owner, 'data', () => {
      this.#pumping = false;
      if (!this.#isClosed) this.#deliver(first, length);
    });
  }

  #deliver(first: Write, length: number): void {
    const { receiver, server } = this.#options;
    const taken = receiver.data(first.bytes.subarray(this.#sentOfFirst, this.#sentOfFirst + length));
    this.#sentOfFirst += taken;
    this.#sentBytes += taken;
    if (this.#isClosed) return;
    if (this.#sentOfFirst === first.bytes.length) {
      this.#queue.shift();
      this.#sentOfFirst = 0;
      const { written } = first;
      if (first.isLast) {
        this.#isFinished = true;
        receiver.end();
      }
      const finished = first.isLast ? this.#onFinish.splice(0) : [];
      this.#world.at(0, written === undefined && finished.length === 0 ? NO_OWNER : server, 'written', () => {
        written?.();
        for (const listener of finished) listener();
      });
    }
    if (taken === length) this.#pump();
  }
}
