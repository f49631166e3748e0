/** A listener's connections: bounded, told to close while draining, and ended when their time is up. */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OrcaError } from '#cache/core/errors.ts';
import { connectionTable, type Shed } from './connection-table.ts';
import { isAmbiguous } from './framing.ts';
import { limitHandshakes } from './handshakes.ts';

/** SDK pools keep idle connections for a minute; Node's 5 s would reset them under their hands. */
const KEEP_ALIVE_MS = 75_000;
/** A client that has not sent its headers by then is not sending them. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often Node looks for who is past one of these two; its own 30 s would make 40 s of the 10 s above. */
const TIMEOUT_CHECK_MS = 5_000;
/** A socket that takes no byte for so long has nobody behind it. */
const IDLE_WRITE_MS = 300_000;
/** 8 KiB of headers, and a key of 1024 bytes percent-encoded. */
const MAX_HEADER_BYTES = 16 * 1024;

/** A handshake that takes longer is none. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** PEM: the certificate with its chain, and its key. */
export interface TlsKeys {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface ListenerOptions {
  readonly maxConnections?: number;
  readonly onShed?: (why: Shed) => void;
  /** undefined = HTTP. */
  readonly tls?: TlsKeys | undefined;
}

export interface HttpListener {
  readonly server: Server;
  /** From the next handshake on; running streams keep what they have. */
  setTlsKeys(keys: TlsKeys): void;
  listen(host: string, port: number): Promise<number>;
  /** Answers say `Connection: close` from now on. */
  startDraining(): void;
  /** Stops accepting; resolves when every client has what it was sent, or resets what is left when `signal` aborts. */
  drain(signal: AbortSignal): Promise<{ readonly destroyed: number }>;
}

export function openHttpListener(handler: RequestListener, options: ListenerOptions = {}): HttpListener {
  const { maxConnections = Number.POSITIVE_INFINITY, onShed = () => {}, tls } = options;
  const connections = connectionTable(maxConnections, onShed);
  let draining = false;
  let closing = false;
  const settings = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    if (!connections.begin(socket)) return;
    response.once('close', () => connections.end(socket));
    if (isAmbiguous(request)) {
      connections.shut(socket);
      sayAndClose(socket, '400 Bad Request');
      return;
    }
    if (draining) response.setHeader('Connection', 'close');
    // One that began before the drain keeps its connection open; nobody is to come after it.
    response.once('close', () => closing && connections.leaveWaiting());
    handler(request, response);
  };
  const admit = (socket: Socket, carrier: Socket) => {
    connections.admit(socket, carrier);
    // With this Node ends a connection after its last answer.
    const destroySoon = socket.destroySoon.bind(socket);
    socket.destroySoon = () => (draining ? connections.leave(socket) : destroySoon());
  };
  const secure =
    tls === undefined
      ? undefined
      : createTlsServer({ ...settings, ...withDefaults(tls), handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, listener);
  const server: Server = secure ?? createServer(settings, listener);
  // Nobody's body is wanted, so nobody is asked to go on sending one; the answer says so, and closes.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('Connection', 'close');
    listener(request, response);
  });
  server.timeout = IDLE_WRITE_MS;
  server.on('clientError', refuse);
  // Node's own limit closes without a word; ours answers first, as long as there are not twice as many.
  if (Number.isFinite(maxConnections)) server.maxConnections = maxConnections * 2;
  if (secure === undefined) server.on('connection', (socket: Socket) => admit(socket, socket));
  else limitHandshakes(secure, Math.max(1, maxConnections / 2), admit);

  return {
    server,
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.removeListener('error', reject);
          const address = server.address();
          if (address === null || typeof address === 'string')
            reject(new OrcaError('internal', `no port for ${host}:${port}`));
          else resolve(address.port);
        });
      }),
    setTlsKeys(keys) {
      secure?.setSecureContext(withDefaults(keys));
    },
    startDraining() {
      draining = true;
    },
    async drain(signal) {
      draining = closing = true;
      // Not HTTP's own `close`, which destroys connections with the end of an answer still on its way.
      const closed = new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()));
      connections.leaveWaiting();
      let destroyed = 0;
      const resetAll = () => {
        destroyed = connections.resetAll();
      };
      if (signal.aborted) resetAll();
      else signal.addEventListener('abort', resetAll, { once: true });
      await closed;
      signal.removeEventListener('abort', resetAll);
      // Now it only ends HTTP's timer.
      server.close();
      return { destroyed };
    },
  };
}

/** Older versions are broken; a new context must say so again. */
function withDefaults(keys: TlsKeys) {
  return { ...keys, minVersion: 'TLSv1.2' } as const;
}

/**
 * As Node does by itself, but for its 408: after a process got no processor for longer than HEADERS_TIMEOUT_MS, requests
 * that it has not read yet count as late, whole as they are. SDKs give up at a 408, and repeat what was reset.
 */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  sayAndClose(socket, status);
}

function sayAndClose(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

/** Aborts when the request's connection is gone before its response is finished. */
export function abortOnClose(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const onClose = () => gone.abort(new OrcaError('cancelled', 'the client has gone'));
  const { socket } = request;
  socket.once('close', onClose);
  // A finished response leaves its connection to the next request, which must not pile listeners on it.
  response.once('finish', () => socket.removeListener('close', onClose));
  return gone.signal;
}
