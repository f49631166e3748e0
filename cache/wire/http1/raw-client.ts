/**
 * A keep-alive HTTP/1.1 client over raw sockets. The kernel reads response bodies straight into the receiver's memory,
 * reading stops while the receiver has no room (backpressure), and a response that can't be parsed strictly is an
 * error, never a guess. It retries nothing, except once on a new connection when a reused one fails before the first
 * byte.
 */
import { traceHeaders } from '#shared/trace.ts';
import { runExchange } from './exchange.ts';
import type { RawRequest, RawResponse } from './message.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { cancelledBy } from './sink.ts';

export type { RawRequest, RawResponse } from './message.ts';

export interface RawClient {
  /** `host[:port]` as sent in the Host header. */
  readonly authority: string;
  /**
   * One request. Rejects with WireError, with what `onHead` threw, or, once the signal aborts, with the signal's
   * OrcaError (`cancelled` if it has none). Bytes that the sink holds by then are valid.
   */
  request(request: RawRequest): Promise<RawResponse>;
  /** Connections in use and idle. */
  readonly connections: { readonly active: number; readonly idle: number };
  /** Closes idle connections now and busy ones after their exchange; later requests reject. */
  close(): void;
}

export type RawClientOptions = PoolOptions;

/** A client of one endpoint. */
export function openRawClient(options: RawClientOptions): RawClient {
  const pool = new Pool(options);
  return {
    authority: pool.authority,
    get connections() {
      return pool.counts;
    },
    async request(untraced) {
      const request = withTrace(untraced);
      if (request.signal.aborted) throw cancelledBy(request.signal);
      const first = await pool.take(request.signal);
      const outcome = await runExchange(first, request, pool.authority);
      if (outcome.kind === 'answered') return outcome.response;
      // 1. The server closes an idle connection. 2. We send before its FIN arrives. 3. The request is answered by a
      // reset. The server has processed nothing, so one new connection is tried; this does not count as a retry.
      if (!(outcome.closedBeforeResponse && request.retryReused !== false)) throw outcome.error;
      const second = await pool.connect(request.signal);
      const again = await runExchange(second, request, pool.authority);
      if (again.kind === 'answered') return again.response;
      throw again.error;
    },
    close: () => pool.close(),
  };
}

/** The server's log can show which client's request this one belongs to. */
function withTrace(request: RawRequest): RawRequest {
  const trace = traceHeaders();
  return trace === undefined ? request : { ...request, headers: { ...request.headers, ...trace } };
}
