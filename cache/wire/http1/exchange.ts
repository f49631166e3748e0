/**
 * One request and its response on one connection: the head, then the body into the sink (or collected, if it is not for
 * the sink), with a deadline for each phase. The connection is reused only if the whole request was sent and the whole
 * response read.
 */
import type { ByteSink } from '#cache/engine/ports.ts';
import { createBodyCollector, type BodyCollector } from './body-collector.ts';
import { ChunkedBody } from './chunked-body.ts';
import type { Connection, Receiver } from './connection.ts';
import { Deadline, overdueError, type Overdue } from './deadline.ts';
import { WireError } from './errors.ts';
import { createHeadReader } from './head-reader.ts';
import type { RawRequest, RawResponse } from './message.ts';
import type { PooledConnection } from './pool.ts';
import { requestHead } from './request-head.ts';
import { framingOf, idleHintMs, type ResponseHead } from './response-head.ts';
import { sendParts } from './send-parts.ts';
import { cancelledBy } from './sink.ts';

export type Outcome =
  | { readonly kind: 'answered'; readonly response: RawResponse }
  /** `closedBeforeResponse`: a connection that had been used before was closed before the first byte of a response. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly closedBeforeResponse: boolean };

const DEFAULT_FIRST_BYTE_TIMEOUT_MS = 10_000;
const DEFAULT_STALL_TIMEOUT_MS = 10_000;
/** A document of at most 16 MiB, and usually a few hundred bytes: a server that drips it holds a slot for nothing. */
const MAX_COLLECT_MS = 30_000;
/** After reading is paused, TLS still delivers what it has decrypted: one encrypted read, far below this. */
const MAX_OVERFLOW_BYTES = 1024 * 1024;
const NO_BODY = Buffer.alloc(0);

/** Never rejects. */
export function runExchange(pooled: PooledConnection, request: RawRequest, authority: string): Promise<Outcome> {
  return new Exchange(pooled, request).run(authority);
}

class Exchange implements Receiver {
  readonly #pooled: PooledConnection;
  readonly #connection: Connection;
  readonly #request: RawRequest;
  readonly #sink: ByteSink | undefined;
  readonly #outcome = Promise.withResolvers<Outcome>();
  readonly #heads = createHeadReader();
  readonly #deadline = new Deadline((overdue, limitMs) => this.#expired(overdue, limitMs));
  readonly #onAbort = (): void => this.#fail(cancelledBy(this.#request.signal));
  #phase: 'head' | 'sink' | 'collect' | 'over' = 'head';
  /** The whole request has been handed to the kernel. */
  #isSent = false;
  /** A byte of the response has arrived. */
  #isAnswered = false;
  #head: ResponseHead | undefined;
  #collector: BodyCollector | undefined;
  /** Bytes of the body that the sink has not received yet. */
  #missingBytes = 0;
  /** Decodes a body for the sink; undefined if it has a Content-Length. */
  #chunked: ChunkedBody | undefined;
  /** The sink's memory for the next read. */
  #next: Uint8Array | undefined;
  /** Bytes that arrived while the sink had no room, copied from the scratch memory. */
  #overflow: Uint8Array[] = [];
  #isPaused = false;

  constructor(pooled: PooledConnection, request: RawRequest) {
    this.#pooled = pooled;
    this.#connection = pooled.connection;
    this.#request = request;
    this.#sink = request.sink;
  }

  run(authority: string): Promise<Outcome> {
    const { signal } = this.#request;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
    else this.#start(authority);
    return this.#outcome.promise;
  }

  #start(authority: string): void {
    const { body = [] } = this.#request;
    try {
      const head = requestHead(this.#method, this.#request, authority);
      this.#connection.receive(this);
      // A head alone is in the kernel with the write.
      if (body.length === 0) this.#awaitHead();
      else this.#deadline.body(this.#stallTimeoutMs);
      const onSent = (): void => {
        this.#isSent = true;
        if (this.#phase === 'head' && body.length > 0) this.#awaitHead();
      };
      sendParts(this.#connection, [head, ...body], () => this.#deadline.progress(), onSent);
    } catch (error) {
      this.#fail(error);
    }
  }

  #awaitHead(): void {
    const { firstByteTimeoutMs = DEFAULT_FIRST_BYTE_TIMEOUT_MS, silenceTimeoutMs } = this.#request;
    this.#deadline.head(firstByteTimeoutMs, silenceTimeoutMs);
  }

  buffer(): Uint8Array | undefined {
    const space = this.#next;
    this.#next = undefined;
    return space;
  }

  received(lengthBytes: number, scratch: Uint8Array | undefined): boolean {
    this.#isAnswered = true;
    try {
      if (scratch === undefined) this.#arrived(lengthBytes);
      else this.#takeScratch(scratch);
      // Bytes with the chunked coding are decoded from the scratch memory.
      if (this.#phase === 'sink' && this.#sink !== undefined && this.#chunked === undefined && !this.#isPaused)
        this.#next = this.#room(this.#sink);
    } catch (error) {
      this.#fail(error);
    }
    return !this.#isPaused || this.#isOver;
  }

  ended(cause: Error | undefined): void {
    // The whole body has arrived and only waits for room.
    if (this.#phase === 'sink' && this.#overflowBytes() === this.#missingBytes) {
      // Only the last, empty chunk is missing.
      if (this.#missingBytes === 0) this.#succeed(false);
      return;
    }
    if (this.#phase === 'collect') {
      if (cause === undefined && this.#collector?.endsWithConnection === true) return this.#succeed(false);
      // The status matters more than the lost part of its error document.
      if (this.#head !== undefined && this.#head.status >= 300) return this.#succeed(false);
    }
    const place = this.#phase === 'head' ? 'before' : 'in the middle of';
    this.#fail(new WireError('closed', `the connection ended ${place} the response`, { cause }));
  }

  #takeScratch(scratch: Uint8Array): void {
    let rest = scratch;
    while (this.#isInHead && rest.length > 0) {
      const { head, consumed } = this.#heads.push(rest);
      rest = rest.subarray(consumed);
      if (head !== undefined) this.#takeHead(head);
    }
    if (rest.length === 0) return;
    if (this.#phase === 'sink') this.#takeBody(rest);
    else if (this.#phase === 'collect') this.#toCollector(rest);
    else this.#connection.destroy();
  }

  #takeHead(head: ResponseHead): void {
    const { status, headers } = head;
    if (status < 200) {
      if (status === 101) throw new WireError('protocol', 'the response switches protocols');
      this.#deadline.progress();
      this.#request.onInformational?.(status, headers);
      return;
    }
    this.#head = head;
    const framing = framingOf(this.#method, head);
    const isForSink = this.#sink !== undefined && (status === 200 || status === 206) && this.#method === 'GET';
    const { expectedBytes } = this.#request;
    const isChunked = framing.kind === 'chunked' && expectedBytes !== undefined;
    if (isForSink && framing.kind !== 'length' && !isChunked && headers['content-length'] !== '0')
      throw new WireError('protocol', `the ${status} response has no Content-Length`);
    this.#request.onHead?.(status, headers);
    if (this.#isOver) return;
    this.#deadline.body(this.#stallTimeoutMs);
    if (framing.kind === 'none') this.#succeed(true);
    else if (isForSink && framing.kind === 'length') {
      this.#phase = 'sink';
      this.#missingBytes = framing.lengthBytes;
    } else if (isForSink && isChunked) {
      this.#phase = 'sink';
      this.#chunked = new ChunkedBody(expectedBytes);
      this.#missingBytes = expectedBytes;
    } else {
      this.#phase = 'collect';
      this.#collector = createBodyCollector(framing, this.#request.maxCollectedBytes);
      this.#deadline.document(this.#stallTimeoutMs, MAX_COLLECT_MS);
    }
  }

  #toCollector(bytes: Uint8Array): void {
    this.#deadline.progress();
    const state = this.#collector?.push(bytes) ?? 'more';
    if (state !== 'more') this.#succeed(state === 'complete');
  }

  #takeBody(bytes: Uint8Array): void {
    const chunked = this.#chunked;
    if (chunked === undefined) return this.#toSink(bytes);
    chunked.push(bytes, (data) => this.#toSink(data));
    // Otherwise the sink still has to take bytes that wait for room.
    if (chunked.isComplete && this.#missingBytes === 0) this.#succeed(chunked.isReusable);
  }

  #toSink(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#phase !== 'sink' || this.#sink === undefined) {
        // More than Content-Length announced: the next response would not begin where we expect it.
        this.#connection.destroy();
        return;
      }
      const space = this.#isPaused ? undefined : this.#room(this.#sink);
      if (space === undefined) {
        this.#overflow.push(Uint8Array.from(rest));
        if (this.#overflowBytes() > MAX_OVERFLOW_BYTES)
          throw new WireError('protocol', 'more bytes arrived than the sink can take');
        return;
      }
      const lengthBytes = Math.min(space.length, rest.length);
      space.set(lengthBytes === rest.length ? rest : rest.subarray(0, lengthBytes));
      rest = rest.subarray(lengthBytes);
      this.#arrived(lengthBytes);
    }
  }

  #arrived(lengthBytes: number): void {
    this.#missingBytes -= lengthBytes;
    this.#sink?.filled(lengthBytes);
    this.#deadline.progress();
    if (this.#missingBytes > 0) return;
    if (this.#chunked?.isComplete !== false) this.#succeed(this.#chunked?.isReusable ?? true);
  }

  /** The sink's room for the missing bytes. Undefined = none now: reading is paused until the sink calls back. */
  #room(sink: ByteSink): Uint8Array | undefined {
    const space = sink.space();
    if (space !== undefined) return space.length > this.#missingBytes ? space.subarray(0, this.#missingBytes) : space;
    this.#isPaused = true;
    this.#deadline.pause();
    sink.onSpace(() => this.#resume());
    // The sink may have called back at once.
    return this.#isPaused ? undefined : this.#room(sink);
  }

  #resume(): void {
    if (this.#phase !== 'sink' || !this.#isPaused) return;
    this.#isPaused = false;
    this.#deadline.resume();
    try {
      const waiting = this.#overflow;
      this.#overflow = [];
      for (const bytes of waiting) this.#toSink(bytes);
      // The read after a pause lands in the scratch memory: Node chose its buffer when there was no room.
      if (!this.#isPaused) this.#connection.resume();
    } catch (error) {
      this.#fail(error);
    }
  }

  #expired(overdue: Overdue, limitMs: number): void {
    this.#fail(overdueError(overdue, limitMs));
  }

  #succeed(isReusable: boolean): void {
    const head = this.#head;
    if (this.#isOver || head === undefined) return;
    const body = this.#collector?.body() ?? NO_BODY;
    const response = { status: head.status, headers: head.headers, body };
    this.#settle({ kind: 'answered', response }, isReusable && head.keepAlive && this.#isSent);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    const isClosed = error instanceof WireError && error.failure === 'closed';
    const closedBeforeResponse = isClosed && this.#pooled.reused && !this.#isAnswered;
    this.#settle({ kind: 'failed', error, closedBeforeResponse }, false);
  }

  #settle(outcome: Outcome, isReusable: boolean): void {
    this.#phase = 'over';
    this.#next = undefined;
    this.#overflow = [];
    this.#deadline.stop();
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#connection.receive(undefined);
    this.#pooled.release(isReusable, this.#head === undefined ? 0 : idleHintMs(this.#head));
    this.#outcome.resolve(outcome);
  }

  #overflowBytes(): number {
    return this.#overflow.reduce((sum, piece) => sum + piece.length, 0);
  }

  // Accessors, so that the type of #phase is not narrowed across calls that change it.
  get #isInHead(): boolean {
    return this.#phase === 'head';
  }
  get #isOver(): boolean {
    return this.#phase === 'over';
  }
  get #method(): NonNullable<RawRequest['method']> {
    return this.#request.method ?? 'GET';
  }
  get #stallTimeoutMs(): number {
    return this.#request.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  }
}
