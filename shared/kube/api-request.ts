/**
 * One HTTP exchange with the API server: authorise, connect, write, wait for the status line, read the body. Every step
 * is under the deadline and the caller's signal; leaving it in any way frees or destroys the connection.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '#shared/clock.ts';
import { KubeError } from './error.ts';
import type { Method } from './types.ts';

/** Where the API server is, and how requests become ours. */
export interface ApiServer {
  /** With a path where the API server stands behind a proxy that needs one. */
  readonly url: URL;
  /** The namespace we run in or the context names, if any. */
  readonly namespace: string | undefined;
  /** Asked before each request: credentials rotate. */
  authorize(): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly agent: http.Agent }>;
  /** The credentials were refused: read them again. */
  forget(): void;
}

export interface ApiRequest {
  readonly method: Method;
  readonly path: string;
  /** Path and query. */
  readonly target: string;
  readonly body?: Buffer | undefined;
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly beforeSend?: (() => void) | undefined;
}

export interface ApiResponse extends AsyncDisposable {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The whole body, at most `maxBytes`, within what is left of the deadline. */
  text(maxBytes: number): Promise<string>;
  /** The body as it comes; the deadline ends here, and `silenceMs` without a byte ends the body with an error. */
  chunks(silenceMs: number): AsyncIterable<Buffer>;
}

/**
 * Watches and workers of one process: an operator of 50 namespaces has 450 watches. More would be a leak, and the
 * deadline covers the wait for a place.
 */
const MAX_SOCKETS = 512;
/** Below the idle time of API servers and of the load balancers before them. */
const IDLE_SOCKET_MS = 45_000;

export const AGENT_OPTIONS = {
  keepAlive: true,
  maxSockets: MAX_SOCKETS,
  timeout: IDLE_SOCKET_MS,
} as const satisfies http.AgentOptions;

/** Resolves when the status line is in. */
export async function sendRequest(
  server: ApiServer,
  clock: Clock,
  request: ApiRequest,
  timeoutMs: number,
): Promise<ApiResponse> {
  const what = `${request.method} ${request.path}`;
  request.signal?.throwIfAborted();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(request.signal?.reason);
  request.signal?.addEventListener('abort', onAbort, { once: true });
  const cancelDeadline = clock.after(timeoutMs, () =>
    stop.abort(new KubeError(0, 'Timeout', `${what}: no answer within ${timeoutMs} ms`)),
  );
  const release = (): void => {
    cancelDeadline();
    request.signal?.removeEventListener('abort', onAbort);
  };
  try {
    const credentials = await untilStopped(authorize(server, what), stop.signal);
    const outgoing = compose(server, request, credentials);
    const response = await untilStopped(answer(outgoing, request, what), stop.signal, (reason) =>
      outgoing.destroy(reason),
    );
    stop.signal.addEventListener('abort', () => response.destroy(stop.signal.reason as Error), { once: true });
    return exchangeOf(response, stop, clock, what, cancelDeadline, release);
  } catch (error) {
    release();
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
}

async function authorize(server: ApiServer, what: string): ReturnType<ApiServer['authorize']> {
  try {
    return await server.authorize();
  } catch (error) {
    throw new KubeError(0, 'Credentials', `${what}: the credentials can't be read`, { cause: error });
  }
}

function compose(
  server: ApiServer,
  request: ApiRequest,
  credentials: Awaited<ReturnType<ApiServer['authorize']>>,
): http.ClientRequest {
  const { url } = server;
  const { body } = request;
  return (url.protocol === 'http:' ? http : https).request({
    method: request.method,
    // `URL.hostname` keeps the brackets of an IPv6 address, `connect` takes it without.
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : url.port,
    path: url.pathname.replace(/\/$/, '') + request.target,
    agent: credentials.agent,
    headers: {
      host: url.host,
      accept: 'application/json',
      'user-agent': 'orcacache',
      ...(body === undefined
        ? {}
        : { 'content-type': request.contentType ?? 'application/json', 'content-length': String(body.length) }),
      ...credentials.headers,
    },
  });
}

/** Nothing is written before the connection stands, so that `beforeSend` speaks as late as possible. */
function answer(outgoing: http.ClientRequest, request: ApiRequest, what: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (error instanceof KubeError) return reject(error);
      const stale = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      const reason = stale ? 'StaleConnection' : 'Unreachable';
      reject(new KubeError(0, reason, `${what}: ${error.message}`, { cause: error }));
    });
    outgoing.once('socket', (socket: Socket) => {
      const send = (): void => {
        try {
          request.beforeSend?.();
        } catch (error) {
          reject(error);
          outgoing.destroy();
          return;
        }
        outgoing.end(request.body);
      };
      if (!socket.connecting) send();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', send);
    });
  });
}

function exchangeOf(
  response: http.IncomingMessage,
  stop: AbortController,
  clock: Clock,
  what: string,
  cancelDeadline: () => void,
  release: () => void,
): ApiResponse {
  /** What the stream says when it breaks, as the reason why we broke it or as a KubeError. */
  function failure(error: unknown): unknown {
    if (stop.signal.aborted) return stop.signal.reason;
    if (error instanceof KubeError) return error;
    return new KubeError(0, 'Unreachable', `${what}: the connection broke within the body`, { cause: error });
  }

  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'],
    async text(maxBytes) {
      const parts: Buffer[] = [];
      let sizeBytes = 0;
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          sizeBytes += chunk.length;
          if (sizeBytes > maxBytes)
            throw new KubeError(0, 'Malformed', `${what}: the answer exceeds ${maxBytes} bytes`);
          parts.push(chunk);
        }
      } catch (error) {
        throw failure(error);
      }
      return Buffer.concat(parts).toString('utf8');
    },
    async *chunks(silenceMs) {
      cancelDeadline();
      const listen = (): (() => void) =>
        clock.after(silenceMs, () => stop.abort(new KubeError(0, 'Silent', `${what}: ${silenceMs} ms without a byte`)));
      let cancel = listen();
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          // Time that the reader takes is not the server's silence.
          cancel();
          yield chunk;
          cancel = listen();
        }
      } catch (error) {
        throw failure(error);
      } finally {
        cancel();
      }
    },
    async [Symbol.asyncDispose]() {
      release();
      // Whole: the agent keeps the connection. Anything else: nobody will read the rest.
      if (!response.complete || !response.readableEnded) response.destroy();
    },
  };
}

/** The promise, or the signal's reason if that comes first. */
function untilStopped<T>(promise: Promise<T>, signal: AbortSignal, onStop?: (reason: Error) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => {
      reject(signal.reason);
      onStop?.(signal.reason as Error);
    };
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stopped));
    if (signal.aborted) stopped();
    else signal.addEventListener('abort', stopped, { once: true });
  });
}
