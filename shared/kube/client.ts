/**
 * The Kubernetes client of both programs: JSON requests with a deadline and watches with a silence limit, over Node's
 * own HTTP. Where the API server is and how one is known to it comes from an opener (`in-cluster.ts`, `kubeconfig.ts`).
 */
import { systemClock, type Clock } from '#shared/clock.ts';
import { errorFromStatus, KubeError } from './error.ts';
import { sendRequest, type ApiServer, type ApiResponse, type ApiRequest } from './api-request.ts';
import type { KubeObject, Method, Status, WatchEvent } from './types.ts';
import { watchFrames } from './watch-frames.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** What a PATCH body is; the API server decides by Content-Type alone. */
export const PATCH = {
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
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
  /** Called when the connection stands, right before the first byte is written: throwing sends nothing. */
  readonly beforeSend?: () => void;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** So long without a byte (bookmarks come about once a minute) and the watch is taken for dead. */
  readonly silenceMs: number;
}

export interface KubeClient {
  /** Resolves with the answer's JSON; rejects with KubeError, or with the signal's reason. */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** Ends when the server ends it. Throws KubeError for another answer than 200, an ERROR event, silence, a cut. */
  watch<T extends KubeObject>(path: string, query: Query, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
}

export interface KubeClientOptions {
  readonly clock?: Clock;
  /** One call a finished request, for metrics; status 0 where no answer came. */
  readonly observe?: (method: Method, status: number, durationMs: number) => void;
}

/** API servers answer in milliseconds; ten seconds is an API server that is away. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A watch may wait for the server's watch cache to catch up before its status line. */
const WATCH_HEADERS_TIMEOUT_MS = 30_000;
/** A page of 500 of the largest objects that we list stays far below it. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** etcd refuses objects over 1.5 MiB; JSON is at most a few times that. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** An error body is read for its message only. */
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
      await using exchange = await sendRequest(server, clock, request, timeoutMs);
      answered(exchange.status);
      const failed = exchange.status < 200 || exchange.status > 299;
      const body = await exchange.text(failed ? MAX_ERROR_BYTES : MAX_RESPONSE_BYTES);
      if (failed) throw await refusal(server, request, exchange, body);
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
        // An idle connection that the server closed while our request was on its way: a read may simply go again.
        if (method !== 'GET' || !(error instanceof KubeError) || error.reason !== 'StaleConnection') throw error;
        return requestOnce<T>(request, timeoutMs);
      }
    },

    async *watch<T extends KubeObject>(path: string, query: Query, call: WatchOptions): AsyncGenerator<WatchEvent<T>> {
      const target = withQuery(path, { ...query, watch: true });
      const request: ApiRequest = { method: 'GET', path, target, signal: call.signal };
      await using exchange = await observed('GET', async (answered) => {
        const opened = await sendRequest(server, clock, request, WATCH_HEADERS_TIMEOUT_MS);
        answered(opened.status);
        return opened;
      });
      if (exchange.status !== 200) throw await refusal(server, request, exchange, await exchange.text(MAX_ERROR_BYTES));
      for await (const line of watchFrames(exchange.chunks(call.silenceMs), MAX_FRAME_BYTES)) {
        const event = parseJson(line, `watch ${path}`) as { type: string; object: unknown };
        if (event.type === 'ERROR') throw errorFromStatus(`watch ${path}`, 0, event.object);
        if (!isWatchEvent<T>(event))
          throw new KubeError(0, 'Malformed', `watch ${path}: an event of type ${event.type} without an object`);
        yield event;
      }
    },
  };
}

async function refusal(
  server: ApiServer,
  request: ApiRequest,
  exchange: ApiResponse,
  body: string,
): Promise<KubeError> {
  // A rotated token: the next request reads the file again instead of waiting for the cached one to age.
  if (exchange.status === 401) server.forget();
  return errorFromStatus(`${request.method} ${request.path}`, exchange.status, statusOf(body), exchange.retryAfter);
}

/** Proxies in between answer with HTML: then the body's start is the message. */
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
    throw new KubeError(0, 'Malformed', `${what}: the answer is not JSON`, { cause: error });
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
