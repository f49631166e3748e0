/**
 * One request and its answer on one connection: head, then the body into the sink (or collected, where it is none for
 * the sink), with the deadlines of each phase. The connection is given back only if both sides are exactly at its end.
 */
import type { ByteSink } from '#cache/engine/ports.ts';
import { createBodyCollector, type BodyCollector } from './body-collector.ts';
import type { Connection, Receiver } from './connection.ts';
import { createDeadline } from './deadline.ts';
import { WireError } from './errors.ts';
import type { PooledConnection } from './pool.ts';
import type { RawRequest, RawResponse } from './raw-client.ts';
import { createHeadReader } from './head-reader.ts';
import { requestHead } from './request-head.ts';
import { framingOf, type ResponseHead } from './response-head.ts';
import { cancelledBy } from './sink.ts';

export type Outcome =
  | { readonly kind: 'answered'; readonly response: RawResponse }
  /** `reusedAndSilent`: the connection had been used before and died before the first byte of an answer. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly reusedAndSilent: boolean };

const DEFAULT_FIRST_BYTE_TIMEOUT_MS = 10_000;
const DEFAULT_STALL_TIMEOUT_MS = 10_000;
/** What TLS may still hand over after reading was stopped: one encrypted read, far below this. */
const MAX_OVERFLOW_BYTES = 1024 * 1024;

export async function runExchange(pooled: PooledConnection, request: RawRequest, authority: string): Promise<Outcome> {
  const { connection } = pooled;
  const { signal, sink } = request;
  const method = request.method ?? 'GET';
  const stallTimeoutMs = request.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  const firstByteTimeoutMs = request.firstByteTimeoutMs ?? DEFAULT_FIRST_BYTE_TIMEOUT_MS;
  const outcome = Promise.withResolvers<Outcome>();
  const heads = createHeadReader();
  let phase: 'head' | 'sink' | 'collect' | 'over' = 'head';
  let answered = false;
  let sent = false;
  let head: ResponseHead | undefined;
  let collector: BodyCollector | undefined;
  /** Bytes of the body that are still to come into the sink. */
  let missing = 0;
  /** The sink's memory for the next read. */
  let next: Uint8Array | undefined;
  /** Bytes that arrived while the sink had no room, copied out of the scratch memory. */
  let overflow: Uint8Array[] = [];
  let paused = false;

  const deadline = createDeadline((failure, limitMs) => {
    fail(new WireError(failure, `${describe(failure)} for ${limitMs} ms`));
  });
  const onAbort = (): void => fail(cancelledBy(signal));

  const settle = (result: Outcome, reusable: boolean): void => {
    phase = 'over';
    next = undefined;
    overflow = [];
    deadline.stop();
    signal.removeEventListener('abort', onAbort);
    connection.receive(undefined);
    pooled.release(reusable, head === undefined ? 0 : idleHint(head));
    outcome.resolve(result);
  };
  const fail = (error: unknown): void => {
    if (phase === 'over') return;
    const dead = error instanceof WireError && error.failure === 'closed';
    settle({ kind: 'failed', error, reusedAndSilent: dead && pooled.reused && !answered }, false);
  };
  const succeed = (reusable: boolean): void => {
    if (phase === 'over' || head === undefined) return;
    const response = { status: head.status, headers: head.headers, body: collector?.body() ?? Buffer.alloc(0) };
    settle({ kind: 'answered', response }, reusable && head.keepAlive && sent);
  };

  const takeHead = (parsed: ResponseHead): void => {
    if (parsed.status < 200) {
      if (parsed.status === 101) throw new WireError('protocol', 'the answer switches protocols');
      deadline.life();
      request.onInformational?.(parsed.status, parsed.headers);
      return;
    }
    head = parsed;
    const framing = framingOf(method, parsed);
    const forSink = sink !== undefined && (parsed.status === 200 || parsed.status === 206) && method === 'GET';
    if (forSink && framing.kind !== 'length' && parsed.headers['content-length'] !== '0')
      throw new WireError('protocol', `the answer ${parsed.status} does not say how long it is`);
    request.onHead?.(parsed.status, parsed.headers);
    if (isOver()) return;
    deadline.body(stallTimeoutMs);
    if (framing.kind === 'none') succeed(true);
    else if (forSink && framing.kind === 'length') {
      phase = 'sink';
      missing = framing.lengthBytes;
    } else {
      phase = 'collect';
      collector = createBodyCollector(framing, request.maxCollectedBytes);
    }
  };
  const overflowBytes = (): number => overflow.reduce((sum, piece) => sum + piece.length, 0);
  const inHead = (): boolean => phase === 'head';
  const isOver = (): boolean => phase === 'over';

  /** Room in the sink for what is missing, or undefined after having asked to be called back. */
  const room = (target: ByteSink): Uint8Array | undefined => {
    const space = target.space();
    if (space !== undefined) return space.length > missing ? space.subarray(0, missing) : space;
    paused = true;
    deadline.pause();
    target.onSpace(() => {
      if (phase !== 'sink' || !paused) return;
      paused = false;
      deadline.resume();
      guarded(() => {
        const waiting = overflow;
        overflow = [];
        for (const bytes of waiting) toSink(bytes);
        // The read after a pause lands in the scratch memory: Node chose its buffer when there was no room.
        if (!paused) connection.resume();
      });
    });
    // The sink may have called back at once.
    return paused ? undefined : room(target);
  };
  const arrived = (lengthBytes: number): void => {
    missing -= lengthBytes;
    sink?.filled(lengthBytes);
    deadline.life();
    if (missing === 0) succeed(true);
  };
  const toSink = (bytes: Uint8Array): void => {
    let rest = bytes;
    while (rest.length > 0) {
      if (phase !== 'sink' || sink === undefined) {
        // More than the answer announced: the connection is not where we think it is.
        connection.destroy();
        return;
      }
      const space = paused ? undefined : room(sink);
      if (space === undefined) {
        overflow.push(Uint8Array.from(rest));
        if (overflowBytes() > MAX_OVERFLOW_BYTES)
          throw new WireError('protocol', 'more bytes arrived than the sink can take');
        return;
      }
      const lengthBytes = Math.min(space.length, rest.length);
      space.set(lengthBytes === rest.length ? rest : rest.subarray(0, lengthBytes));
      rest = rest.subarray(lengthBytes);
      arrived(lengthBytes);
    }
  };
  const toCollector = (bytes: Uint8Array): void => {
    deadline.life();
    const state = collector?.push(bytes) ?? 'more';
    if (state !== 'more') succeed(state === 'complete');
  };
  const takeScratch = (scratch: Uint8Array): void => {
    let rest = scratch;
    while (inHead() && rest.length > 0) {
      const { head: parsed, consumed } = heads.push(rest);
      rest = rest.subarray(consumed);
      if (parsed !== undefined) takeHead(parsed);
    }
    if (rest.length === 0) return;
    if (phase === 'sink') toSink(rest);
    else if (phase === 'collect') toCollector(rest);
    else connection.destroy();
  };
  const guarded = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      fail(error);
    }
  };

  const receiver: Receiver = {
    buffer() {
      const space = next;
      next = undefined;
      return space;
    },
    received(lengthBytes, scratch) {
      answered = true;
      guarded(() => {
        if (scratch === undefined) arrived(lengthBytes);
        else takeScratch(scratch);
        if (phase === 'sink' && sink !== undefined && !paused) next = room(sink);
      });
      return !paused || phase === 'over';
    },
    ended(cause) {
      // All of it is here and only waits for room.
      if (phase === 'sink' && overflowBytes() === missing) return;
      if (phase === 'collect' && cause === undefined && collector?.endsWithConnection === true) succeed(false);
      // The status is known: it says more than the loss of a part of its explanation.
      else if (phase === 'collect' && head !== undefined && head.status >= 300) succeed(false);
      else
        fail(
          new WireError(
            'closed',
            `the connection ended ${phase === 'head' ? 'before' : 'in the middle of'} the answer`,
            { cause },
          ),
        );
    },
  };

  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else {
    guarded(() => {
      const bytes = requestHead(method, request, authority);
      connection.receive(receiver);
      deadline.body(stallTimeoutMs);
      send(
        connection,
        [bytes, ...(request.body ?? [])],
        () => deadline.life(),
        () => {
          sent = true;
          if (phase === 'head') deadline.head(firstByteTimeoutMs, request.silenceTimeoutMs);
        },
      );
    });
  }
  return outcome.promise;
}

/** Writes the parts one after the other, each when the kernel has taken the one before; a failure shows as the connection's end. */
function send(
  connection: Connection,
  parts: readonly (Uint8Array | string)[],
  progress: () => void,
  done: () => void,
): void {
  const step = (index: number): void => {
    const part = parts[index];
    if (part === undefined) {
      done();
      return;
    }
    connection.write(part, (error) => {
      if (error !== null && error !== undefined) return;
      progress();
      step(index + 1);
    });
  };
  step(0);
}

/** How long the server says it keeps the connection, less a second for the way. */
function idleHint(head: ResponseHead): number {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/.exec(head.headers['keep-alive'] ?? '')?.[1];
  return seconds === undefined ? Infinity : Number(seconds) * 1000 - 1000;
}

function describe(failure: 'first_byte' | 'silence' | 'stall'): string {
  if (failure === 'first_byte') return 'the answer did not begin';
  return failure === 'silence' ? 'there was no sign of life' : 'the body made no progress';
}
