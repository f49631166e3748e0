/** An HTTP(S) server with bounded connections, timeouts against slow clients, and a graceful drain. */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OrcaError } from '#cache/core/errors.ts';
import { ConnectionTable, type ShedReason } from './connection-table.ts';
import { isAmbiguous } from './framing.ts';
import { limitHandshakes } from './handshakes.ts';
import { unknownUnacked, type UnackedBytes } from './send-queues.ts';

const SETTINGS = {
  /** SDK pools keep idle connections for a minute; Node's default of 5 s would reset them on reuse. */
  keepAliveTimeout: 75_000,
  /** A client that takes longer to send its headers is stuck or malicious. */
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** How often Node checks the two limits above; with its default of 30 s, the 10 s could become 40 s. */
  connectionsCheckingInterval: 5_000,
  /** 8 KiB of headers, and a key of 1024 bytes, percent-encoded. */
  maxHeaderSize: 16 * 1024,
  noDelay: true,
  /** A request without a body has none of the events of a stream, which cost more than parsing its headers. */
  optimizeEmptyRequests: true,
};
/**
 * A socket that accepts no bytes for this long has no live client, unless the client still acknowledges what the kernel
 * has for it.
 */
const IDLE_WRITE_MS = 300_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** PEM: the certificate with its chain, and its key. */
export interface TlsKeys {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface ListenerOptions {
  /** Default: unlimited. */
  readonly maxConnections?: number;
  readonly onShed?: (reason: ShedReason) => void;
  /** undefined = HTTP. */
  readonly tls?: TlsKeys | undefined;
  /** Default: unknown. */
  readonly unackedBytes?: UnackedBytes;
}

export interface HttpListener {
  readonly server: Server;
  /** Takes effect with the next handshake; open connections keep their keys. */
  setTlsKeys(keys: TlsKeys): void;
  /** Resolves with the port. `reusePort`: several processes listen on it, and the kernel divides the connections. */
  listen(host: string, port: number, options?: { readonly reusePort?: boolean }): Promise<number>;
  /** From now on every response has `Connection: close`. */
  startDraining(): void;
  /**
   * Stops accepting. Resolves when every client has received its response; when `signal` aborts, resets the remaining
   * connections and returns their number.
   */
  drain(signal: AbortSignal): Promise<{ readonly resets: number }>;
}

export function openHttpListener(handler: RequestListener, options: ListenerOptions = {}): HttpListener {
  return new BoundedListener(handler, options);
}

class BoundedListener implements HttpListener {
  readonly server: Server;
  readonly #secure: TlsServer | undefined;
  readonly #handler: RequestListener;
  readonly #connections: ConnectionTable;
  readonly #unackedBytes: UnackedBytes;
  /** At the last time-out of a connection. */
  readonly #unackedBefore = new WeakMap<Socket, number>();
  #isDraining = false;
  /** Draining, and no longer accepting. */
  #isClosing = false;

  constructor(handler: RequestListener, options: ListenerOptions) {
    const { maxConnections = Number.POSITIVE_INFINITY, onShed = () => {}, tls } = options;
    this.#unackedBytes = options.unackedBytes ?? unknownUnacked;
    this.#handler = handler;
    this.#connections = new ConnectionTable(maxConnections, onShed);
    const endRequest = (socket: Socket): void => this.#endRequest(socket);
    // One function for all responses: a listener of its own would cost each of them more than the call.
    const onClose = function (this: ServerResponse): void {
      endRequest(this.req.socket);
    };
    const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
      this.#onRequest(request, response, onClose);
    if (tls !== undefined)
      this.#secure = createTlsServer(
        { ...SETTINGS, ...tlsSettings(tls), handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
        onRequest,
      );
    this.server = this.#secure ?? createServer({ ...SETTINGS }, onRequest);
    // Request bodies are never used, so a client that asks before sending one is answered without `100 Continue`.
    this.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.setHeader('Connection', 'close');
      onRequest(request, response);
    });
    this.server.timeout = IDLE_WRITE_MS;
    this.server.on('timeout', (socket: Socket) => void this.#onTimeout(socket));
    this.server.on('clientError', onClientError);
    // Node's limit closes without a response; ours responds first, up to twice the number.
    if (Number.isFinite(maxConnections)) this.server.maxConnections = maxConnections * 2;
    const admit = (socket: Socket, carrier: Socket): void => this.#admit(socket, carrier);
    if (this.#secure === undefined) this.server.on('connection', (socket: Socket) => admit(socket, socket));
    else limitHandshakes(this.#secure, Math.max(1, maxConnections / 2), admit);
  }

  #endRequest(socket: Socket): void {
    this.#connections.endRequest(socket);
    // A response that began before the drain keeps its connection open; it must take no further request.
    if (this.#isClosing) this.#connections.closeIdle();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, onClose: () => void): void {
    const { socket } = request;
    if (!this.#connections.beginRequest(socket)) return;
    response.on('close', onClose);
    if (isAmbiguous(request)) {
      this.#connections.ignoreRequests(socket);
      respondAndClose(socket, '400 Bad Request');
      return;
    }
    if (this.#isDraining) response.setHeader('Connection', 'close');
    this.#handler(request, response);
  }

  #admit(socket: Socket, carrier: Socket): void {
    this.#connections.admit(socket, carrier);
    // Node calls this to close a connection after its last response.
    const destroySoon = socket.destroySoon.bind(socket);
    socket.destroySoon = () => (this.#isDraining ? this.#connections.closeGracefully(socket) : destroySoon());
  }

  /** Idle too long: between requests, or in a response whose bytes the client does not take. */
  async #onTimeout(socket: Socket): Promise<void> {
    const unackedBytes = this.#connections.isBusy(socket) ? await this.#unackedBytes(socket) : undefined;
    if (unackedBytes === undefined || unackedBytes === this.#unackedBefore.get(socket)) {
      socket.destroy();
      return;
    }
    this.#unackedBefore.set(socket, unackedBytes);
    socket.setTimeout(IDLE_WRITE_MS);
  }

  listen(host: string, port: number, { reusePort = false } = {}): Promise<number> {
    const { server } = this;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, host, reusePort }, () => {
        server.removeListener('error', reject);
        const address = server.address();
        if (address === null || typeof address === 'string')
          reject(new OrcaError('internal', `no port for ${host}:${port}`));
        else resolve(address.port);
      });
    });
  }

  setTlsKeys(keys: TlsKeys): void {
    this.#secure?.setSecureContext(tlsSettings(keys));
  }

  startDraining(): void {
    this.#isDraining = true;
  }

  async drain(signal: AbortSignal): Promise<{ readonly resets: number }> {
    this.#isDraining = this.#isClosing = true;
    // Not HTTP's own `close`: it destroys connections whose response is still being delivered.
    const closed = new Promise<void>((resolve) => TcpServer.prototype.close.call(this.server, () => resolve()));
    this.#connections.closeIdle();
    let resets = 0;
    const resetAll = () => {
      resets = this.#connections.resetAll();
    };
    if (signal.aborted) resetAll();
    else signal.addEventListener('abort', resetAll, { once: true });
    await closed;
    signal.removeEventListener('abort', resetAll);
    // Now it only stops HTTP's timer.
    this.server.close();
    return { resets };
  }
}

/** Older TLS versions are broken. A replaced context needs the minimum again. */
function tlsSettings(keys: TlsKeys) {
  return { ...keys, minVersion: 'TLSv1.2' } as const;
}

/**
 * As Node does by default, except for its 408: after a process got no CPU time for longer than `headersTimeout`,
 * complete requests that it has not read yet count as late. SDKs give up on a 408, but retry after a reset.
 */
function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  respondAndClose(socket, status);
}

function respondAndClose(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

/** Aborts when the request's connection closes before its response is finished. */
export function abortOnClose(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const aborter = new AbortController();
  const onClose = () => aborter.abort(new OrcaError('cancelled', 'the client closed the connection'));
  const { socket } = request;
  if (socket.destroyed) onClose();
  socket.once('close', onClose);
  // A finished response leaves its connection to the next request, which must not accumulate listeners.
  response.once('finish', () => socket.removeListener('close', onClose));
  return aborter.signal;
}

/** The same, created when it is first needed. */
export function abortOnCloseLater(request: IncomingMessage, response: ServerResponse): () => AbortSignal {
  let signal: AbortSignal | undefined;
  return () => (signal ??= abortOnClose(request, response));
}
