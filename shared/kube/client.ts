/**
 * The Kubernetes client of the cache and the operator: JSON requests with a deadline and watches with an idle timeout,
 * over Node's own HTTP client. Address and credentials come from `in-cluster.ts` or `kubeconfig.ts`.
 */
import { systemClock, type Clock } from '#shared/clock.ts';
import { sendRequest, type ApiRequest, type ApiResponse, type ApiServer } from './api-request.ts';
import { errorFromStatus, KubeError } from './error.ts';
import type { KubeObject, Method, Status, WatchEvent } from './types.ts';
import { watchFrames } from './watch-frames.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The types of PATCH bodies. The API server selects by Content-Type. */
export const PATCH = {
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
  /** Built-in kinds only: lists are merged by key. */
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
} as const;

export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** `application/json` unless given; PATCH needs one of `PATCH`. */
  readonly contentType?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called on the established connection, just before the first byte is sent. If it throws, nothing is sent. */
  readonly beforeSend?: () => void;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** A watch without data for this long counts as dead. Bookmarks arrive about once a minute. */
  readonly silenceMs: number;
}

export interface KubeClient {
  /** Resolves with the JSON of the response; rejects with KubeError or the signal's reason. */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /**
   * Ends when the server ends it. Throws KubeError for a status other than 200, an ERROR event, silence or a lost
   * connection.
   */
  watch<T extends KubeObject>(path: string, query: Query, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
}

export interface KubeClientOptions {
  readonly clock?: Clock;
  /** Called once per finished request, for metrics; status 0 = no response. */
  readonly observe?: (method: Method, status: number, durationMs: number) => void;
}

/** API servers respond within milliseconds. One that needs ten seconds counts as unavailable. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Before the status line of a watch, the server may wait until its watch cache has caught up. */
const WATCH_HEADERS_TIMEOUT_MS = 30_000;
/** Far more than a page of 500 of the largest listed objects. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** etcd rejects objects over 1.5 MiB; their JSON is at most a few times larger. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** Only the message of an error body is used. */
const MAX_ERROR_BYTES = 256 * 1024;

export function openKubeClient(server: ApiServer, options: KubeClientOptions = {}): KubeClient {
  const clock = options.clock ?? systemClock;
  const observe = options.observe ?? (() => {});

  async function observed<T>(method: Method, run: (answered: (status: number) => void) => Promise<T>): Promise<T> {
    const startMs = clock.now();
    let status = 0;
    try {
      return await run((answer) => {
        status = answer;
      });
    } finally {
      observe(method, status, clock.now() - startMs);
    }
  }

  async function requestOnce<T>(request: ApiRequest, timeoutMs: number): Promise<T> {
    return observed(request.method, async (answered) => {
      await using response = await sendRequest(server, clock, request, timeoutMs);
      answered(response.status);
      const failed = response.status < 200 || response.status > 299;
      const body = await response.text(failed ? MAX_ERROR_BYTES : MAX_RESPONSE_BYTES);
      if (failed) throw errorOf(server, request, response, body);
      if (body === '') return undefined as T;
      return parseJson(body, `${request.method} ${request.path}`) as T;
    });
  }

  return {
    async request<T>(method: Method, path: string, call: RequestOptions = {}): Promise<T> {
      const request: ApiRequest = {
        method,
        path,
        target: withQuery(path, call.query),
        body: call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body)),
        contentType: call.contentType ?? 'application/json',
        signal: call.signal,
        beforeSend: call.beforeSend,
      };
      const timeoutMs = call.timeoutMs ?? REQUEST_TIMEOUT_MS;
      try {
        return await requestOnce<T>(request, timeoutMs);
      } catch (error) {
        // The server closed an idle connection while the request was in flight. A read can be repeated safely.
        if (method !== 'GET' || !(error instanceof KubeError) || error.reason !== 'StaleConnection') throw error;
        return requestOnce<T>(request, timeoutMs);
      }
    },

    async *watch<T extends KubeObject>(path: string, query: Query, call: WatchOptions): AsyncGenerator<WatchEvent<T>> {
      const target = withQuery(path, { ...query, watch: true });
      const request: ApiRequest = { method: 'GET', path, target, signal: call.signal };
      await using response = await observed('GET', async (answered) => {
        const opened = await sendRequest(server, clock, request, WATCH_HEADERS_TIMEOUT_MS);
        answered(opened.status);
        return opened;
      });
      if (response.status !== 200) throw errorOf(server, request, response, await response.text(MAX_ERROR_BYTES));
      for await (const line of watchFrames(response.chunks(call.silenceMs), MAX_FRAME_BYTES)) {
        const event = parseJson(line, `watch ${path}`) as { type: string; object: unknown };
        if (event.type === 'ERROR') throw errorFromStatus(`watch ${path}`, 0, event.object);
        if (!isWatchEvent<T>(event))
          throw new KubeError(0, 'Malformed', `watch ${path}: an event of type ${event.type} without an object`);
        yield event;
      }
    },
  };
}

function errorOf(server: ApiServer, request: ApiRequest, response: ApiResponse, body: string): KubeError {
  // The token may have been rotated: the next request reads the file again instead of using the cached token.
  if (response.status === 401) server.forget();
  return errorFromStatus(`${request.method} ${request.path}`, response.status, statusOf(body), response.retryAfter);
}

/** A proxy may respond with HTML. Then the start of the body is the message. */
function statusOf(body: string): Status {
  try {
    return JSON.parse(body) as Status;
  } catch (error) {
    return {
      kind: 'Status',
      message: `${body.slice(0, 200)} (${error instanceof SyntaxError ? 'not JSON' : 'unreadable'})`,
    };
  }
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KubeError(0, 'Malformed', `${what}: the response is not JSON`, { cause: error });
  }
}

function isWatchEvent<T extends KubeObject>(event: { type: string; object: unknown }): event is WatchEvent<T> {
  const { type, object } = event;
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') return false;
  return typeof object === 'object' && object !== null && 'metadata' in object && typeof object.metadata === 'object';
}

function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}
