/** Collects the bodies of calls between replicas, within limits of size, time and number. */
import type { IncomingMessage } from 'node:http';
import { OrcaError } from '#cache/core/errors.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';

/** Each replica sends one report at a time, once a minute, and they take milliseconds: 16 MiB at the most. */
const MAX_CONCURRENT = 16;
/** Enough for 1 MiB over a slow link; a sender gives up after 5 s anyway. */
const TIMEOUT_MS = 8_000;
/** The sender's next report is due in a few seconds at the earliest. */
const RETRY_AFTER_MS = 5_000;
const LENGTH = /^\d{1,15}$/;

export interface BodyLimits {
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class RequestBodies {
  #running = 0;

  /**
   * The request must be authenticated, and flow since this turn of the event loop. Rejects with bad_request,
   * `overloaded`, or the signal's reason; the connection must then be closed, because bytes of the body may follow.
   */
  async read(request: IncomingMessage, { maxBytes, clock, signal }: BodyLimits): Promise<Uint8Array> {
    const lengthBytes = announcedBytes(request, maxBytes);
    if (this.#running >= MAX_CONCURRENT)
      throw new OrcaError('overloaded', `${MAX_CONCURRENT} reports are being received`, {
        retryAfterMs: RETRY_AFTER_MS,
      });
    this.#running++;
    const late = () => new OrcaError('bad_request', `the body did not arrive within ${TIMEOUT_MS} ms`);
    const body = collect(request, lengthBytes);
    try {
      return await withDeadline(clock, TIMEOUT_MS, late, signal, (limited) => abortable(body.whole, limited));
    } finally {
      body.drop();
      this.#running--;
    }
  }
}

/** Without the chunked coding, which a replica does not use: so the length is known before the first byte. */
function announcedBytes({ headers }: IncomingMessage, maxBytes: number): number {
  const { 'content-length': text = '', 'transfer-encoding': coding } = headers;
  if (coding !== undefined || !LENGTH.test(text)) throw new OrcaError('bad_request', 'Content-Length is required');
  const lengthBytes = Number(text);
  if (lengthBytes > maxBytes)
    throw new OrcaError('bad_request', `a body of ${lengthBytes} bytes is too large: at most ${maxBytes}`);
  return lengthBytes;
}

/** Node delivers at most the announced bytes, and emits `end` only after all of them. */
function collect(request: IncomingMessage, lengthBytes: number) {
  const { promise: whole, resolve } = Promise.withResolvers<Uint8Array>();
  // Pieces, not one allocation of the announced size: memory is taken only for bytes that arrive.
  let pieces: Buffer[] = [];
  const onData = (piece: Buffer): void => void pieces.push(piece);
  const onEnd = (): void => resolve(Buffer.concat(pieces, lengthBytes));
  request.on('data', onData).once('end', onEnd);
  return {
    whole,
    drop() {
      request.removeListener('data', onData).removeListener('end', onEnd);
      pieces = [];
    },
  };
}
