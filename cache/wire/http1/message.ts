/** A request and its response as callers of the raw client see them. */
import type { ByteSink } from '#cache/engine/ports.ts';
import type { ResponseHeaders } from './response-head.ts';

export interface RawRequest {
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The request target exactly as it is sent: `/` and the query, percent-encoded by the caller. */
  readonly path: string;
  /** `host` is added if missing; `connection` and `accept-encoding: identity` always. Latin-1 values only. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Receives the body of a 200 or 206, which must then have a Content-Length, or the chunked coding if its length is
   * expected. Without a sink every body is collected.
   */
  readonly sink?: ByteSink | undefined;
  /** The length of a body for the sink: one with the chunked coding must have it. */
  readonly expectedBytes?: number | undefined;
  /** Sent in order with backpressure; the caller sets `content-length`. Must not change until the promise settles. */
  readonly body?: readonly Uint8Array[] | undefined;
  /** Called once with the final head, before the first byte of its body; an error it throws ends the call. */
  readonly onHead?: ((status: number, headers: ResponseHeaders) => void) | undefined;
  /** Called for each 1xx response. */
  readonly onInformational?: ((status: number, headers: ResponseHeaders) => void) | undefined;
  readonly signal: AbortSignal;
  /** From the sent request to the complete final head. Default 10 s. */
  readonly firstByteTimeoutMs?: number | undefined;
  /** Before the final head: the longest time without any byte; a 1xx restarts it. Default: no such limit. */
  readonly silenceTimeoutMs?: number | undefined;
  /** The longest time a body, sent or received, may make no progress while the sink has room. Default 10 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** The maximum size of a collected body. Default 64 KiB. */
  readonly maxCollectedBytes?: number | undefined;
  /**
   * False for requests that are not idempotent: a reused connection that fails before the first byte is an error too.
   */
  readonly retryReused?: boolean | undefined;
}

export interface RawResponse {
  readonly status: number;
  /** Lower-case names; values as Latin-1; repeated fields joined by `, `. */
  readonly headers: ResponseHeaders;
  /** The body unless it went into the sink: at most `maxCollectedBytes` of it, for error codes and small documents. */
  readonly body: Buffer;
}
