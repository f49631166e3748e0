/**
 * Calls to another replica: fill or warm a chunk, look up an object's head, invalidate a version, report reads and usage. Only a
 * response with a valid proof is accepted; any other response, or none, is `peer_unavailable`, and the caller continues
 * with the next source.
 */
import {
  decodeUsageAnswer,
  encodeUsageReport,
  type UsageAnswer,
  type UsageReport,
} from '#cache/core/capacity/usage-codec.ts';
import type { ObjectHead } from '#cache/core/object.ts';
import type { PeerKeys } from '#cache/core/peer/auth.ts';
import { formatFillTarget, formatFillTerms, PEER_TERMS } from '#cache/core/peer/fill-request.ts';
import { decodeHeadAnswer } from '#cache/core/peer/head-message.ts';
import {
  formatHeadTarget,
  formatInvalidateTarget,
  type HeadQuery,
  type Invalidation,
} from '#cache/core/peer/head-request.ts';
import { formatReportTerms, READS_PATH, USAGE_PATH } from '#cache/core/peer/report-request.ts';
import { decodeWarmAnswer, formatWarmTarget, formatWarmTerms } from '#cache/core/peer/warm-request.ts';
import type {
  ByteSink,
  CallOptions,
  FillAnswer,
  FillRequest,
  PeerAddress,
  PeerClient,
  PeerView,
  WarmRequest,
  WarmResult,
} from '#cache/engine/ports.ts';
import type { RawRequest } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import type { Clock } from '#shared/clock.ts';
import { silentLog, type Log } from '#shared/log.ts';
import { checkFillHead, fillAnswerOf, refusalOf, sourceOf, warmResultOf } from './fill-answer.ts';
import { PeerMonitor } from './heartbeat/monitor.ts';
import type { Pinger } from './heartbeat/pinger.ts';
import { callPeer, STARVED_AFTER_MS, type PeerCall } from './peer-call.ts';
import { peerUnavailable } from './peer-error.ts';
import { PeerTable, type Peer } from './peer-table.ts';
import { signCall, type CallToSign, type SignedCall } from './signed-call.ts';

export interface FillClientOptions {
  /** Undefined = no keys (development with static peers): nothing is signed and nothing verified. */
  readonly keys: () => PeerKeys | undefined;
  readonly clock: Clock;
  /**
   * A peer counts as dead after this long without a connection, or without any bytes before the status line, unless
   * heartbeats show more.
   */
  readonly deadAfterMs?: number;
  /** Undefined = no heartbeats. */
  readonly pinger?: Pinger | undefined;
  /** Their peers are pinged before they are needed, so that it is known which of them answer heartbeats. */
  readonly peers?: Pick<PeerView, 'current'>;
  readonly log?: Log;
}

/**
 * Peers send 102 every 500 ms while they wait for the origin: five in a row may be lost. It is the limit for peers that do
 * not answer heartbeats (docs/adr/0031-liveness-thread.md).
 */
const DEAD_AFTER_MS = 3000;
/** Longer than a peer works on a chunk that it warms; it sends 102 meanwhile. */
const WARM_TIMEOUT_MS = 11 * 60_000;
const NO_BODY = new Uint8Array(0);
/** Request ids go into a header; ids that clients chose may not fit. */
const NOT_IN_HEADER = /[^\x21-\x7e]/g;

export function openFillClient(options: FillClientOptions): PeerClient {
  return new FillClient(options);
}

type FillOptions = Parameters<PeerClient['fill']>[3];

class FillClient implements PeerClient {
  readonly #keys: () => PeerKeys | undefined;
  readonly #clock: Clock;
  readonly #deadAfterMs: number;
  readonly #log: Log;
  readonly #peers: PeerTable;

  constructor({ keys, clock, deadAfterMs = DEAD_AFTER_MS, pinger, peers, log = silentLog }: FillClientOptions) {
    this.#keys = keys;
    this.#clock = clock;
    this.#deadAfterMs = deadAfterMs;
    this.#log = log;
    const limits = { deadAfterMs, starvedAfterMs: Math.max(STARVED_AFTER_MS, deadAfterMs) };
    this.#peers = new PeerTable(clock, deadAfterMs, pinger && new PeerMonitor({ pinger, clock, limits }));
    if (pinger !== undefined && peers !== undefined) this.#peers.keepProven(() => peers.current());
  }

  async fill(address: PeerAddress, request: FillRequest, sink: ByteSink, options: FillOptions): Promise<FillAnswer> {
    const leave = await this.#peers.at(address).gate.enter(options.signal);
    try {
      return await this.#attempt(address, options.signal, (peer, call) =>
        this.#stream(peer, call, address, request, sink, options),
      );
    } finally {
      leave();
    }
  }

  async head(
    address: PeerAddress,
    query: HeadQuery,
    options: CallOptions,
  ): Promise<{ readonly head: ObjectHead; readonly ageMs: number }> {
    const call = { method: 'GET', target: formatHeadTarget(query), etag: '', headers: PEER_TERMS } as const;
    const { headers, text } = await this.#control(address, call, options);
    const answer = decodeHeadAnswer(text, headers['x-orca-age-ms']);
    if (answer === undefined) throw peerUnavailable(address, 'its response is not an object head');
    return answer;
  }

  async invalidate(address: PeerAddress, invalidation: Invalidation, options: CallOptions): Promise<void> {
    const { etag } = invalidation;
    const target = formatInvalidateTarget(invalidation);
    await this.#control(address, { method: 'POST', target, etag, headers: PEER_TERMS }, options);
  }

  async reads(address: PeerAddress, report: Uint8Array, options: CallOptions): Promise<void> {
    await this.#report(address, READS_PATH, report, options);
  }

  async usage(address: PeerAddress, report: UsageReport, options: CallOptions): Promise<UsageAnswer> {
    const { text } = await this.#report(address, USAGE_PATH, encodeUsageReport(report), options);
    try {
      return decodeUsageAnswer(Buffer.from(text));
    } catch (cause) {
      throw peerUnavailable(address, 'its response is not an account of the cachestore', { cause });
    }
  }

  async warm(address: PeerAddress, request: WarmRequest, options: CallOptions): Promise<WarmResult> {
    const leave = await this.#peers.at(address).warmGate.enter(options.signal);
    try {
      const { chunk } = request;
      const { etag } = chunk.object;
      const call = {
        method: 'POST',
        target: formatWarmTarget(chunk),
        etag,
        headers: formatWarmTerms(request),
      } as const;
      const { text } = await this.#control(address, call, { firstByteTimeoutMs: WARM_TIMEOUT_MS, ...options });
      return warmResultOf(address, decodeWarmAnswer(text));
    } finally {
      leave();
    }
  }

  async close(): Promise<void> {
    this.#peers.close();
  }

  /** A fill, whose object bytes go into the sink. */
  async #stream(
    peer: Peer,
    { signal, silenceTimeoutMs, alive, answered: isAnswered }: PeerCall,
    address: PeerAddress,
    request: FillRequest,
    sink: ByteSink,
    options: FillOptions,
  ): Promise<FillAnswer> {
    const { chunk, range } = request;
    const target = formatFillTarget({ chunk, range });
    const headers = withRequestId(formatFillTerms(request), options.requestId);
    const call = this.#sign(address, { method: 'GET', target, etag: chunk.object.etag, headers });
    const lengthBytes = range.to - range.from;
    const {
      status,
      headers: answered,
      body,
    } = await peer.client.request({
      path: target,
      headers: call.headers,
      sink,
      signal,
      firstByteTimeoutMs: options.firstByteTimeoutMs ?? request.deadlineMs,
      silenceTimeoutMs,
      stallTimeoutMs: options.stallTimeoutMs,
      onInformational: alive,
      onHead(status, answered) {
        isAnswered();
        // Before the first byte may reach the sink.
        checkFillHead(address, call, status, answered, lengthBytes);
        if (status === 200) options.onSource?.(sourceOf(answered['x-orca-source']));
      },
    });
    if (status === 200) return { kind: 'bytes' };
    const text = body.toString('utf8');
    const state = answered['x-orca-chunk'] ?? '';
    call.verify(status, answered, body.length, status === 204 ? state : text);
    return fillAnswerOf(address, request.reason, { status, state, text, retryAfter: answered['retry-after'] });
  }

  /** A call without object bytes: the proof covers the whole response. */
  #control(
    address: PeerAddress,
    { headers: terms, ...toSign }: CallToSign,
    options: CallOptions,
    { body = NO_BODY, isJudged = true }: { readonly body?: Uint8Array; readonly isJudged?: boolean } = {},
  ): Promise<ControlAnswer> {
    const { method, target } = toSign;
    const run = async (peer: Peer, { signal, silenceTimeoutMs, alive, answered }: PeerCall): Promise<ControlAnswer> => {
      const call = this.#sign(address, { ...toSign, headers: withRequestId(terms, options.requestId) });
      const request: RawRequest = {
        method,
        path: target,
        headers: method === 'POST' ? { ...call.headers, 'content-length': String(body.length) } : call.headers,
        ...(body.length > 0 && { body: [body] }),
        signal,
        firstByteTimeoutMs: options.firstByteTimeoutMs,
        silenceTimeoutMs,
        onInformational: alive,
        onHead: answered,
        // The peer remembers the nonce of a POST: sent again, it would be refused as a replay.
        retryReused: method === 'GET',
      };
      const { status, headers, body: answer } = await peer.client.request(request);
      const text = answer.toString('utf8');
      call.verify(status, headers, answer.length, text);
      if (status === 200 || status === 204) return { headers, text };
      throw refusalOf(address, status, text, headers['retry-after']);
    };
    return this.#attempt(address, options.signal, run, isJudged);
  }

  /** Its failures do not count: replicas that start together report before all of them listen. */
  #report(address: PeerAddress, target: string, body: Uint8Array, options: CallOptions) {
    return this.#control(address, { method: 'POST', target, etag: '', headers: formatReportTerms(body) }, options, {
      body,
      isJudged: false,
    });
  }

  /** One attempt at a peer; transport failures are recorded in its health if `isJudged`. */
  async #attempt<T>(
    address: PeerAddress,
    signal: AbortSignal,
    run: (peer: Peer, call: PeerCall) => Promise<T>,
    isJudged = true,
  ): Promise<T> {
    const peer = this.#peers.at(address);
    const options = { signal, deadAfterMs: this.#deadAfterMs, isJudged, log: this.#log };
    return callPeer(address, peer, options, (call) => run(peer, call));
  }

  #sign(address: PeerAddress, call: CallToSign): SignedCall {
    return signCall(this.#keys(), this.#clock.date(), address, call);
  }
}

interface ControlAnswer {
  readonly headers: ResponseHeaders;
  readonly text: string;
}

function withRequestId(
  headers: Readonly<Record<string, string>>,
  requestId: string | undefined,
): Readonly<Record<string, string>> {
  if (requestId === undefined || requestId === '') return headers;
  return { ...headers, 'x-orca-request-id': requestId.replaceAll(NOT_IN_HEADER, '_').slice(0, 128) };
}
