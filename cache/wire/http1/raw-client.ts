/**
 * A keep-alive HTTP/1.1 client over raw sockets: the kernel reads response bodies straight into the receiver's memory,
 * reading stops while the receiver has no room, and an answer that can't be parsed strictly is an error, never a guess.
 * Nothing is retried except one reused connection that died before the first byte of an answer.
 */
import type { ByteSink } from '#cache/engine/ports.ts';
import { cancelledBy } from './sink.ts';
import { openPool, type PoolOptions } from './pool.ts';
import { runExchange } from './exchange.ts';
import type { ResponseHeaders } from './response-head.ts';

export interface RawRequest {
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The request target exactly as it goes on the wire: `/` and the query, percent-encoded by the caller. */
  readonly path: string;
  /** `host` is added where it is missing; `connection` and `accept-encoding: identity` always. Latin-1 values only. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where the body of a 200 or 206 goes, which then must have a Content-Length; without it every body is collected. */
  readonly sink?: ByteSink | undefined;
  /** Sent in order with back-pressure; the caller sets `content-length`. They must not change until the promise settles. */
  readonly body?: readonly Uint8Array[] | undefined;
  /** Called once with the final head, before the first byte of its body; what it throws ends the call with that error. */
  readonly onHead?: ((status: number, headers: ResponseHeaders) => void) | undefined;
  /** Called for each 1xx answer. */
  readonly onInformational?: ((status: number, headers: ResponseHeaders) => void) | undefined;
  readonly signal: AbortSignal;
  /** From the sent request to the complete final head. Default 10 s. */
  readonly firstByteTimeoutMs?: number | undefined;
  /** Before the final head: the longest time without any byte, where a 1xx counts as life. Default: no such limit. */
  readonly silenceTimeoutMs?: number | undefined;
  /** The longest time without progress of a body, sent or received; time in which the sink has no room never counts. Default 10 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** Of a body that is not for the sink so much is kept. Default 64 KiB. */
  readonly maxCollectedBytes?: number | undefined;
  /** False: also a reused connection that died before the first byte is an error (for what must not be sent twice). */
  readonly retryReused?: boolean | undefined;
}

export interface RawResponse {
  readonly status: number;
  /** Lower-case names; values as Latin-1; repeated fields joined by `, `. */
  readonly headers: ResponseHeaders;
  /** The body where it did not go into the sink: at most `maxCollectedBytes` of it, for error codes and small answers. */
  readonly body: Buffer;
}

export interface RawClient {
  /** `host[:port]` as it stands in the Host header. */
  readonly authority: string;
  /**
   * One request. Rejects with WireError, with what `onHead` threw, or, once the signal aborts, with the signal's
   * OrcaError (`cancelled` if it has none). Bytes that are in the sink by then are good.
   */
  request(request: RawRequest): Promise<RawResponse>;
  /** Connections in use and idle. */
  readonly connections: { readonly active: number; readonly idle: number };
  /** Destroys idle connections now and running ones when they are done; later requests reject. */
  close(): void;
}

export type RawClientOptions = PoolOptions;

/** A client of one endpoint. */
export function openRawClient(options: RawClientOptions): RawClient {
  const pool = openPool(options);
  return {
    authority: pool.authority,
    get connections() {
      return pool.counts;
    },
    async request(request) {
      if (request.signal.aborted) throw cancelledBy(request.signal);
      const first = await pool.take(request.signal);
      const outcome = await runExchange(first, request, pool.authority);
      if (outcome.kind === 'answered') return outcome.response;
      // 1. The server closes an idle connection. 2. We send on it before its FIN is here. 3. The request meets a reset.
      // Nothing was answered, so nothing is known to be wrong: one fresh connection, not counted as a retry.
      if (!(outcome.reusedAndSilent && request.retryReused !== false)) throw outcome.error;
      const second = await pool.connect(request.signal);
      const again = await runExchange(second, request, pool.authority);
      if (again.kind === 'answered') return again.response;
      throw again.error;
    },
    close: () => pool.close(),
  };
}
