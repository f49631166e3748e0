/**
 * One HTTP request to the API server: authorize, connect, send, wait for the status line, read the body. The deadline and
 * the caller's signal apply to every step. The connection is released or destroyed however the request ends.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '#shared/clock.ts';
import { withoutBrackets } from '#shared/host-name.ts';
import { KubeError } from './error.ts';
import type { Method } from './types.ts';

/** The address of an API server and the credentials for it. */
export interface ApiServer {
  /** Includes a path if the API server is behind a proxy that needs one. */
  readonly url: URL;
  /** The namespace of the pod or of the kubeconfig context, if any. */
  readonly namespace: string | undefined;
  /** Called before each request, because credentials rotate. */
  authorize(): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly agent: http.Agent }>;
  /** Called when the credentials were rejected: the next `authorize` reads them again. */
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
  /** The whole body, at most `maxBytes`, within the remaining deadline. */
  text(maxBytes: number): Promise<string>;
  /** Streams the body. The deadline no longer applies; `silenceMs` without data ends the body with an error. */
  chunks(silenceMs: number): AsyncIterable<Buffer>;
}

/**
 * Enough for the watches and workers of one process: an operator of 50 namespaces has 450 watches. More would be a leak.
 * The deadline covers the wait for a free socket.
 */
const MAX_SOCKETS = 512;
/**
 * Shorter than the idle timeouts of API servers and load balancers, which would otherwise close the connection first.
 */
const IDLE_SOCKET_MS = 45_000;

export const AGENT_OPTIONS = {
  keepAlive: true,
  maxSockets: MAX_SOCKETS,
  timeout: IDLE_SOCKET_MS,
} as const satisfies http.AgentOptions;

/** Resolves when the status line has arrived. */
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
    stop.abort(new KubeError(0, 'Timeout', `${what}: no response within ${timeoutMs} ms`)),
  );
  const release = (): void => {
    cancelDeadline();
    request.signal?.removeEventListener('abort', onAbort);
  };
  try {
    const credentials = await untilStopped(authorize(server, what), stop.signal);
    const outgoing = createRequest(server, request, credentials);
    const response = await untilStopped(responseOf(outgoing, request, what), stop.signal, (reason) =>
      outgoing.destroy(reason),
    );
    stop.signal.addEventListener('abort', () => response.destroy(stop.signal.reason as Error), { once: true });
    return apiResponse(response, stop, clock, what, cancelDeadline, release);
  } catch (error) {
    release();
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
}

async function authorize(server: ApiServer, what: string): ReturnType<ApiServer['authorize']> {
  try {
    return await server.authorize();
  } catch (error) {
    throw new KubeError(0, 'Credentials', `${what}: cannot read the credentials`, { cause: error });
  }
}

function createRequest(
  server: ApiServer,
  request: ApiRequest,
  credentials: Awaited<ReturnType<ApiServer['authorize']>>,
): http.ClientRequest {
  const { url } = server;
  const { body } = request;
  return (url.protocol === 'http:' ? http : https).request({
    method: request.method,
    hostname: withoutBrackets(url.hostname),
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

/** Sends nothing before the connection is established, so that `beforeSend` runs as late as possible. */
function responseOf(outgoing: http.ClientRequest, request: ApiRequest, what: string): Promise<http.IncomingMessage> {
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

function apiResponse(
  response: http.IncomingMessage,
  stop: AbortController,
  clock: Clock,
  what: string,
  cancelDeadline: () => void,
  release: () => void,
): ApiResponse {
  /** Maps an error of the body stream to the abort reason or to a KubeError. */
  function failure(error: unknown): unknown {
    if (stop.signal.aborted) return stop.signal.reason;
    if (error instanceof KubeError) return error;
    return new KubeError(0, 'Unreachable', `${what}: connection lost while reading the response body`, {
      cause: error,
    });
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
            throw new KubeError(0, 'Malformed', `${what}: the response exceeds ${maxBytes} bytes`);
          parts.push(chunk);
        }
      } catch (error) {
        throw failure(error);
      }
      return Buffer.concat(parts).toString('utf8');
    },
    async *chunks(silenceMs) {
      cancelDeadline();
      const startTimer = (): (() => void) =>
        clock.after(silenceMs, () => stop.abort(new KubeError(0, 'Silent', `${what}: no data for ${silenceMs} ms`)));
      let cancel = startTimer();
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          // The time that the consumer takes does not count as silence of the server.
          cancel();
          yield chunk;
          cancel = startTimer();
        }
      } catch (error) {
        throw failure(error);
      } finally {
        cancel();
      }
    },
    async [Symbol.asyncDispose]() {
      release();
      // After a complete body the agent keeps the connection; otherwise unread data makes it unusable.
      if (!response.complete || !response.readableEnded) response.destroy();
    },
  };
}

/** The promise, or a rejection with the signal's reason if it aborts first. */
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
