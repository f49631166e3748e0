/**
 * Tracks a listener's connections and sheds load: when all are taken, a new connection evicts the one that has been
 * idle longest. Clients that open thousands of connections and send nothing, or send it byte by byte, therefore cannot
 * lock other clients out.
 */
import type { Socket } from 'node:net';

/**
 * The maximum number of unanswered requests on one connection. No S3 client pipelines, and each waiting request takes
 * kilobytes of memory for some forty bytes on the wire.
 */
export const MAX_PIPELINED = 64;
/** How long a refused client has to read the reason. */
const REFUSAL_LINGER_MS = 1_000;
/**
 * A connection that has been idle for longer has delivered its last response: what the kernels buffer, some 6 MiB,
 * reaches any client that reads 200 KiB/s in that time.
 */
const DELIVERY_MS = 30_000;
const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/**
 * Why a connection was shed: `idle_evicted` for a new one, `refused` because all were busy, `pipelined` because it sent
 * more than MAX_PIPELINED requests at once.
 */
export type ShedReason = 'idle_evicted' | 'refused' | 'pipelined';

interface Connection {
  readonly carrier: Socket;
  /** Requests in progress. */
  running: number;
}

export class ConnectionTable {
  readonly #maxConnections: number;
  readonly #onShed: (reason: ShedReason) => void;
  readonly #open = new Map<Socket, Connection>();
  /** Connections that are closing: further requests on them are ignored. */
  readonly #closing = new Map<Socket, Connection>();
  /** When each connection became idle, by `performance.now()`; longest idle first. Undefined = no request yet. */
  readonly #idle = new Map<Socket, number | undefined>();

  constructor(maxConnections: number, onShed: (reason: ShedReason) => void) {
    this.#maxConnections = maxConnections;
    this.#onShed = onShed;
  }

  get size(): number {
    return this.#open.size;
  }

  /** `carrier`: the TCP socket that TLS runs on, or the same socket. */
  admit(socket: Socket, carrier: Socket): void {
    socket.once('close', () => this.#forget(socket));
    if (this.#open.size >= this.#maxConnections) {
      const [longestIdle] = this.#idle.keys();
      if (longestIdle === undefined) {
        this.#refuse(socket, carrier);
        this.#onShed('refused');
        return;
      }
      this.#forget(longestIdle);
      longestIdle.destroy();
      this.#onShed('idle_evicted');
    }
    this.#open.set(socket, { carrier, running: 0 });
    this.#idle.set(socket, undefined);
  }

  /** False = ignore the request: its connection is closing, was refused, or has just been closed for pipelining. */
  beginRequest(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    if (connection === undefined) return false;
    if (connection.running >= MAX_PIPELINED) {
      this.#forget(socket);
      socket.destroy();
      this.#onShed('pipelined');
      return false;
    }
    connection.running++;
    this.#idle.delete(socket);
    return true;
  }

  endRequest(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    connection.running--;
    if (connection.running === 0) this.#idle.set(socket, performance.now());
  }

  /** Whether a request of this connection has no complete response yet. */
  isBusy(socket: Socket): boolean {
    return (this.#open.get(socket)?.running ?? 0) > 0;
  }

  /** Ignores all further requests on the connection. */
  ignoreRequests(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    this.#forget(socket);
    this.#closing.set(socket, connection);
  }

  /**
   * Half-closes, and lets the client close: by then it has received everything. A socket that is destroyed leaves
   * unsent bytes to the kernel, which discards them as soon as the pod's network is removed.
   */
  closeGracefully(socket: Socket): void {
    this.ignoreRequests(socket);
    socket.end();
  }

  /** Closes all connections without a request in progress. */
  closeIdle(): void {
    const nowMs = performance.now();
    for (const [socket, sinceMs] of this.#idle) {
      if (sinceMs !== undefined && nowMs - sinceMs < DELIVERY_MS) this.closeGracefully(socket);
      else socket.destroy();
    }
  }

  /** Resets the remaining connections, so that their clients do not wait. Returns their number. */
  resetAll(): number {
    const remaining = [...this.#open.values(), ...this.#closing.values()];
    for (const { carrier } of remaining) carrier.resetAndDestroy();
    return remaining.length;
  }

  #refuse(socket: Socket, carrier: Socket): void {
    this.#closing.set(socket, { carrier, running: 0 });
    socket.end(REFUSAL);
    // Not at once: unread data of the client would turn this response into a reset.
    setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref();
  }

  #forget(socket: Socket): void {
    this.#open.delete(socket);
    this.#idle.delete(socket);
    this.#closing.delete(socket);
  }
}
