/**
 * Asks another replica: for a chunk, for what it knows of an object, to forget a version. Only an answer with its proof
 * is believed; whatever else comes, or does not come, is `peer_unavailable`, and the next rung answers.
 */
import { randomBytes } from 'node:crypto';
import { OrcaError, type OrcaErrorOptions } from '#cache/core/errors.ts';
import { parseNotCoordinator, parseRefusal } from '#cache/core/peer/refusal.ts';
import { formatFillTarget, formatFillTerms, PEER_TERMS } from '#cache/core/peer/fill-request.ts';
import { decodeManifest } from '#cache/core/peer/head-message.ts';
import { formatHeadTarget, formatInvalidateTarget } from '#cache/core/peer/head-request.ts';
import { NONCE_BYTES, PROOF_HEADER, signRequest, verifyAnswer, type PeerKeys } from '#cache/core/peer/auth.ts';
import { parsePeerAddress } from '#cache/core/peer-set.ts';
import type {
  ByteSink,
  CallOptions,
  FillAnswer,
  FillRequest,
  FillSource,
  PeerAddress,
  PeerClient,
} from '#cache/engine/ports.ts';
import { WireError } from '#cache/wire/http1/errors.ts';
import { openRawClient, type RawClient, type RawRequest } from '#cache/wire/http1/raw-client.ts';
import type { ResponseHeaders } from '#cache/wire/http1/response-head.ts';
import type { Clock } from '#shared/clock.ts';
import { peerHealth, type Attempt, type PeerHealth } from './peer-health.ts';
import { streamGate, type StreamGate } from './stream-gate.ts';

export interface FillClientOptions {
  /** Undefined = no keys at all (development with static peers): nothing is signed and nothing proved. */
  readonly keys: () => PeerKeys | undefined;
  readonly clock: Clock;
  /** So long without a byte before the status line, or to connect, and a peer is dead. */
  readonly deadAfterMs?: number;
}

/** Peers say 102 every 500 ms while they wait for the origin: five of them missed (docs/adr/0007-peer-silence-timeout.md). */
const DEAD_AFTER_MS = 3000;
/** How long a dead peer is not asked, so that each chunk does not cost another DEAD_AFTER_MS. */
const SKIP_DEAD_MS = 5000;
const MAX_STREAMS_PER_PEER = 64;
const MAX_WAITING_PER_PEER = 256;
const STREAM_WAIT_MS = 5000;
/** Addresses come and go with pods; connections to those long gone are not kept. */
const MAX_PEERS = 256;
/** Request ids go into a header: what clients send as theirs may not fit there. */
const NOT_IN_HEADER = /[^\x21-\x7e]/g;

interface Peer {
  readonly client: RawClient;
  readonly health: PeerHealth;
  readonly gate: StreamGate;
}

export function openFillClient({ keys, clock, deadAfterMs = DEAD_AFTER_MS }: FillClientOptions): PeerClient {
  /** Least recently used first. */
  const peers = new Map<PeerAddress, Peer>();
  let closed = false;

  function peerAt(address: PeerAddress): Peer {
    if (closed) throw unavailable(address, 'the client is closed');
    const known = peers.get(address);
    const peer: Peer = known ?? {
      client: openRawClient({ endpoint: `http://${address}`, connectTimeoutMs: deadAfterMs }),
      health: peerHealth(clock, SKIP_DEAD_MS),
      gate: streamGate(
        { maxActive: MAX_STREAMS_PER_PEER, maxWaiting: MAX_WAITING_PER_PEER, waitMs: STREAM_WAIT_MS },
        clock,
      ),
    };
    peers.delete(address);
    peers.set(address, peer);
    for (const [other, { client, gate }] of peers) {
      if (peers.size <= MAX_PEERS) break;
      if (gate.active > 0 || other === address) continue;
      client.close();
      peers.delete(other);
    }
    return peer;
  }

  /** The headers of a request, and the check of its answer; without keys neither means anything. */
  function sign(address: PeerAddress, method: string, target: string, etag: string, terms: Record<string, string>) {
    const secret = keys();
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    const signed = { method, target, receiver: address, headers: terms, body: new Uint8Array() };
    const headers = secret === undefined ? terms : { ...terms, ...signRequest(secret, signed, clock.date(), nonce) };
    const prove = (status: number, answered: ResponseHeaders, lengthBytes: number, reason: string): void => {
      if (secret === undefined) return;
      if (!verifyAnswer(secret, { nonce, status, lengthBytes, etag, reason }, answered[PROOF_HEADER]))
        throw unavailable(address, `its answer ${status} carries no proof that it is one of us`, {
          status,
          details: 'no_proof',
        });
    };
    return { headers, prove };
  }

  async function exchange(
    peer: Peer,
    attempt: Attempt,
    address: PeerAddress,
    request: FillRequest,
    sink: ByteSink,
    options: Parameters<PeerClient['fill']>[3],
  ): Promise<FillAnswer> {
    const { chunk, range } = request;
    const target = formatFillTarget({ chunk, range });
    const terms = withRequestId(formatFillTerms(request), options.requestId);
    const { headers, prove } = sign(address, 'GET', target, chunk.object.etag, terms);

    const call: RawRequest = {
      path: target,
      headers,
      sink,
      signal: options.signal,
      firstByteTimeoutMs: options.firstByteTimeoutMs ?? request.deadlineMs,
      silenceTimeoutMs: deadAfterMs,
      stallTimeoutMs: options.stallTimeoutMs,
      onInformational: () => attempt.alive(),
      onHead(status, answered) {
        attempt.alive();
        // Before the first byte may touch the sink.
        if (status === 206) throw unavailable(address, 'it answered a range that nobody asked for', { status });
        if (status !== 200) return;
        const lengthBytes = range.to - range.from;
        if (answered['content-length'] !== String(lengthBytes) || (answered['content-encoding'] ?? '') !== '')
          throw unavailable(address, `its body is not the ${lengthBytes} bytes that were asked for`, { status });
        prove(status, answered, lengthBytes, '');
        options.onSource?.(sourceOf(answered['x-orca-source']));
      },
    };
    const { status, headers: answered, body } = await peer.client.request(call);
    if (status === 200) return { kind: 'bytes' };
    const text = body.toString('utf8');
    const state = answered['x-orca-chunk'] ?? '';
    prove(status, answered, body.length, status === 204 ? state : text);
    return meaningOf(address, request.why, status, state, text, answered['retry-after']);
  }

  /** A call without object bytes: its whole answer is proved. */
  async function control(
    address: PeerAddress,
    call: { readonly method: 'GET' | 'POST'; readonly target: string; readonly etag: string },
    options: CallOptions,
  ): Promise<{ readonly headers: ResponseHeaders; readonly text: string }> {
    return attempted(address, async (peer, attempt) => {
      const { method, target, etag } = call;
      const terms = withRequestId(PEER_TERMS, options.requestId);
      const { headers, prove } = sign(address, method, target, etag, terms);
      const request: RawRequest = {
        method,
        path: target,
        headers: method === 'POST' ? { ...headers, 'content-length': '0' } : headers,
        signal: options.signal,
        firstByteTimeoutMs: options.firstByteTimeoutMs,
        silenceTimeoutMs: deadAfterMs,
        onInformational: () => attempt.alive(),
        onHead: () => attempt.alive(),
        // Its nonce is remembered there: sent again it would be refused as a replay.
        retryReused: method === 'GET',
      };
      const { status, headers: answered, body } = await peer.client.request(request);
      const text = body.toString('utf8');
      prove(status, answered, body.length, text);
      if (status === 200 || status === 204) return { headers: answered, text };
      const refusal = parseRefusal(`peer ${address}`, status, text, answered['retry-after']);
      throw refusal ?? unavailable(address, `it answered ${status}`, { status });
    });
  }

  /** One attempt at a peer; what the wire says is told to its health. */
  async function attempted<T>(address: PeerAddress, run: (peer: Peer, attempt: Attempt) => Promise<T>): Promise<T> {
    const peer = peerAt(address);
    const attempt = peer.health.ask();
    try {
      if (attempt === undefined)
        throw unavailable(address, `it was dead less than ${SKIP_DEAD_MS} ms ago`, { details: 'skipped' });
      return await run(peer, attempt);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (error.failure === 'connect' || error.failure === 'silence') attempt?.dead();
      throw unavailable(address, error.message, { cause: error, details: error.failure });
    } finally {
      // Once for each attempt, and a sign of life that came first is not taken back by what follows.
      attempt?.abandoned();
    }
  }

  return {
    async fill(address, request, sink, options) {
      const leave = await peerAt(address).gate.enter(options.signal);
      try {
        return await attempted(address, (peer, attempt) => exchange(peer, attempt, address, request, sink, options));
      } finally {
        leave();
      }
    },
    async head(address, query, options) {
      const { headers, text } = await control(
        address,
        { method: 'GET', target: formatHeadTarget(query), etag: '' },
        options,
      );
      const said = decodeManifest(text);
      const ageMs = Number(headers['x-orca-age-ms']);
      if (said === undefined || said.gone || !(ageMs >= 0)) throw unavailable(address, 'its answer is no object head');
      return { head: said.head, ageMs };
    },
    async invalidate(address, invalidation, options) {
      await control(
        address,
        { method: 'POST', target: formatInvalidateTarget(invalidation), etag: invalidation.etag },
        options,
      );
    },
    async close() {
      closed = true;
      for (const { client } of peers.values()) client.close();
      peers.clear();
    },
  };
}

function meaningOf(
  address: PeerAddress,
  why: FillRequest['why'],
  status: number,
  state: string,
  body: string,
  retryAfter: string | undefined,
): FillAnswer {
  if (status === 204 && state === 'stored') return { kind: state };
  if (status === 204 && state === 'none' && why === 'join') return { kind: state };
  if (status === 409) {
    const views = parseNotCoordinator(body);
    if (views !== undefined) return { kind: 'not_coordinator', owner: ownerOf(views.owner), epoch: views.epoch };
  }
  const refusal = parseRefusal(`peer ${address}`, status, body, retryAfter);
  throw refusal ?? unavailable(address, `it answered ${status}`, { status });
}

/** What is not said, or in a word that we do not know, counts as the origin's: better a hit too few than one too many. */
function sourceOf(text: string | undefined): FillSource {
  return text === 'memory' || text === 'store' ? text : 'flight';
}

/** An owner that is no address is as good as none. */
function ownerOf(text: string | undefined): PeerAddress | undefined {
  if (text === undefined) return undefined;
  try {
    return parsePeerAddress(text);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function withRequestId(terms: Record<string, string>, requestId: string | undefined): Record<string, string> {
  if (requestId === undefined || requestId === '') return terms;
  return { ...terms, 'x-orca-request-id': requestId.replaceAll(NOT_IN_HEADER, '_').slice(0, 128) };
}

function unavailable(address: PeerAddress, message: string, options: OrcaErrorOptions = {}): OrcaError {
  return new OrcaError('peer_unavailable', `peer ${address}: ${message}`, options);
}
