/** A listener's connections: bounded, told to close while draining, and ended when their time is up. */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { OrcaError } from '#cache/core/errors.ts';

/** SDK pools keep idle connections for a minute; Node's 5 s would reset them under their hands. */
const KEEP_ALIVE_MS = 75_000;
/** A client that has not sent its headers by then is not sending them. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** A socket that takes no byte for so long has nobody behind it. */
const IDLE_WRITE_MS = 300_000;
/** 8 KiB of headers, and a key of 1024 bytes percent-encoded. */
const MAX_HEADER_BYTES = 16 * 1024;

export interface HttpListener {
  readonly server: Server;
  listen(host: string, port: number): Promise<number>;
  /** Answers say `Connection: close` from now on. */
  startDraining(): void;
  /** Stops accepting; resolves when the last exchange has ended, or destroys what is left when `signal` aborts. */
  drain(signal: AbortSignal): Promise<{ readonly destroyed: number }>;
}

export function openHttpListener(handler: RequestListener, maxConnections = Number.POSITIVE_INFINITY): HttpListener {
  const sockets = new Set<Socket>();
  let draining = false;
  let closing = false;
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      noDelay: true,
    },
    (request: IncomingMessage, response: ServerResponse) => {
      if (draining) response.setHeader('Connection', 'close');
      // One that began before the drain keeps its connection open; nobody is to come after it.
      response.once('close', () => closing && setImmediate(() => server.closeIdleConnections()));
      handler(request, response);
    },
  );
  server.timeout = IDLE_WRITE_MS;
  // Node's own limit closes without a word; ours answers first, as long as there are not twice as many.
  if (Number.isFinite(maxConnections)) server.maxConnections = maxConnections * 2;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (sockets.size > maxConnections)
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      );
  });

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
    startDraining() {
      draining = true;
    },
    async drain(signal) {
      draining = closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      let destroyed = 0;
      const destroyAll = () => {
        destroyed = sockets.size;
        for (const socket of sockets) socket.destroy();
      };
      if (signal.aborted) destroyAll();
      else signal.addEventListener('abort', destroyAll, { once: true });
      await closed;
      signal.removeEventListener('abort', destroyAll);
      return { destroyed };
    },
  };
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
