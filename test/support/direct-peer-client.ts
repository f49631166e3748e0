/**
 * A PeerClient without a wire for engine tests: calls another engine of the process directly, and otherwise behaves like
 * the real client (test/conformance/suites/peer-client.ts runs against both).
 */
import {
  decodeUsageAnswer,
  decodeUsageReport,
  encodeUsageAnswer,
  encodeUsageReport,
} from '#cache/core/capacity/usage-codec.ts';
import { asOrcaError, hasCode, OrcaError } from '#cache/core/errors.ts';
import { parseRefusal, refusalOf } from '#cache/core/peer/refusal.ts';
import { abortable, withDeadline } from '#shared/abortable.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { CallOptions, Clock, FillRequest, PeerAddress, PeerClient } from '#cache/engine/ports.ts';
import { cancelledBy, copyInto } from '#cache/wire/http1/sink.ts';

/** As in the raw client. */
const DEFAULT_FIRST_BYTE_TIMEOUT_MS = 10_000;

export interface DirectPeer {
  readonly engine: Engine;
  /** It can't be reached. */
  readonly dead: boolean;
  /** For chunks; not the questions whether one is committed. */
  fillCalls: number;
  /** How many of its streams stop after their first piece. */
  stalls: number;
}

export interface DirectPeerClientOptions {
  readonly clock: Clock;
  readonly peerAt: (address: PeerAddress) => DirectPeer | undefined;
  readonly onBytes?: (lengthBytes: number) => void;
}

export function directPeerClient(options: DirectPeerClientOptions): PeerClient {
  let isClosed = false;
  const reach = (address: PeerAddress, signal: AbortSignal): DirectPeer => {
    const peer = options.peerAt(address);
    if (isClosed) throw unavailable(address, 'the client is closed');
    if (signal.aborted) throw cancelledBy(signal);
    if (peer === undefined || peer.dead) throw unavailable(address, 'it does not respond');
    return peer;
  };
  return {
    async fill(address, request, sink, call) {
      const peer = reach(address, call.signal);
      if (request.reason !== 'commit') peer.fillCalls++;
      const stream = new DirectFill(options, address, peer, call);
      try {
        const reply = await stream.reply(request);
        if (reply.kind !== 'bytes') return reply;
        call.onSource?.(reply.source);
        for await (const bytes of stream.pieces(reply.body)) {
          await copyInto(sink, bytes, call.signal);
          options.onBytes?.(bytes.length);
        }
        return { kind: 'bytes' };
      } finally {
        stream.close();
      }
    },
    async head(address, query, call) {
      const peer = reach(address, call.signal);
      const limitMs = call.firstByteTimeoutMs ?? DEFAULT_FIRST_BYTE_TIMEOUT_MS;
      const late = () => unavailable(address, `no response within ${limitMs} ms`, 'first_byte');
      try {
        const known = await withDeadline(options.clock, limitMs, late, call.signal, (signal) =>
          peer.engine.metadata.serve(query.object, query.maxAgeMs, signal),
        );
        return { head: known.head, ageMs: Math.ceil(known.ageMs) };
      } catch (error) {
        throw asReceived(address, error, call.signal);
      }
    },
    async invalidate(address, { object, etag }, call) {
      reach(address, call.signal).engine.metadata.forget(object, etag);
    },
    async reads(address, report, call) {
      const { engine } = reach(address, call.signal);
      try {
        // A copy, as on the wire: neither side sees later changes of the other.
        engine.capacity.receiveReads(Uint8Array.from(report));
      } catch (error) {
        throw asReceived(address, error, call.signal);
      }
    },
    async usage(address, report, call) {
      const { engine } = reach(address, call.signal);
      try {
        const answer = engine.capacity.receiveUsage(decodeUsageReport(encodeUsageReport(report)));
        return decodeUsageAnswer(encodeUsageAnswer(answer));
      } catch (error) {
        throw asReceived(address, error, call.signal);
      }
    },
    async warm(address, request, call) {
      const peer = reach(address, call.signal);
      try {
        const requestId = call.requestId ?? '';
        const reply = await peer.engine.warm.serve({ ...request, requestId, signal: call.signal });
        if (peer.dead) throw unavailable(address, 'it died');
        if (reply.kind === 'stored') return { originBytes: reply.originBytes };
      } catch (error) {
        if (hasCode(error, 'store_unavailable')) throw error;
        throw asReceived(address, error, call.signal);
      }
      throw new OrcaError('not_coordinator', `peer ${address}: it takes another one for the owner`);
    },
    async close() {
      isClosed = true;
    },
  };
}

/** One fill call; `connection` stands for the connection that both sides share. */
class DirectFill {
  readonly #options: DirectPeerClientOptions;
  readonly #address: PeerAddress;
  readonly #peer: DirectPeer;
  readonly #call: CallOptions;
  readonly #connection = new AbortController();
  readonly #signal: AbortSignal;

  constructor(options: DirectPeerClientOptions, address: PeerAddress, peer: DirectPeer, call: CallOptions) {
    this.#options = options;
    this.#address = address;
    this.#peer = peer;
    this.#call = call;
    this.#signal = AbortSignal.any([call.signal, this.#connection.signal]);
  }

  async reply(request: FillRequest) {
    const { clock } = this.#options;
    const { firstByteTimeoutMs = request.deadlineMs, requestId = '' } = this.#call;
    const late = () => unavailable(this.#address, `no response within ${firstByteTimeoutMs} ms`, 'first_byte');
    const overdue = () => new OrcaError('origin_unavailable', `no bytes within the requested ${request.deadlineMs} ms`);
    try {
      return await withDeadline(clock, firstByteTimeoutMs, late, this.#signal, (limited) =>
        withDeadline(clock, request.deadlineMs, overdue, limited, (signal) =>
          this.#peer.engine.serveFill({ ...request, signal, requestId }),
        ),
      );
    } catch (error) {
      throw asReceived(this.#address, error, this.#call.signal);
    }
  }

  async *pieces(
    body: AsyncGenerator<{ readonly bytes: Uint8Array; release(): void }, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const next = await this.#next(body);
        if (next.done === true) return;
        try {
          yield next.value.bytes;
        } finally {
          next.value.release();
        }
        if (this.#peer.dead) throw unavailable(this.#address, 'it died');
        if (this.#peer.stalls > 0) {
          this.#peer.stalls--;
          throw unavailable(this.#address, 'it stalled', 'stall');
        }
      }
    } finally {
      this.close();
      await body.return();
    }
  }

  /** An error after the first byte closes the connection. */
  async #next<T>(body: AsyncGenerator<T, void, void>): Promise<IteratorResult<T, void>> {
    const { stallTimeoutMs } = this.#call;
    const stalled = () => unavailable(this.#address, `no progress for ${stallTimeoutMs} ms`, 'stall');
    const next = (signal: AbortSignal) => abortable(body.next(), signal);
    try {
      if (stallTimeoutMs === undefined) return await next(this.#signal);
      return await withDeadline(this.#options.clock, stallTimeoutMs, stalled, this.#signal, next);
    } catch (error) {
      if (this.#call.signal.aborted) throw cancelledBy(this.#call.signal);
      if (hasCode(error, 'peer_unavailable')) throw error;
      throw unavailable(this.#address, 'the connection was closed', 'closed', error);
    }
  }

  close(): void {
    this.#connection.abort(new OrcaError('cancelled', 'the connection was closed'));
  }
}

/** The error as the wire would carry it. */
function asReceived(address: PeerAddress, thrown: unknown, signal: AbortSignal): OrcaError {
  if (signal.aborted) return cancelledBy(signal);
  const error = asOrcaError(thrown, 'internal', 'unexpected');
  if (error.code === 'peer_unavailable') return error;
  const refusal = refusalOf(error);
  const retryAfter = refusal?.retryAfterSeconds === undefined ? undefined : String(refusal.retryAfterSeconds);
  const received = refusal && parseRefusal(`peer ${address}`, refusal.status, refusal.body, retryAfter);
  return received ?? unavailable(address, 'unexpected 500 response');
}

function unavailable(address: PeerAddress, message: string, details?: string, cause?: unknown): OrcaError {
  return new OrcaError('peer_unavailable', `peer ${address}: ${message}`, {
    ...(details !== undefined && { details }),
    ...(cause !== undefined && { cause }),
  });
}
