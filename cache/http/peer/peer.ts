/**
 * The replicas' listener: `GET /internal/fill`, `GET /internal/head`, `POST /internal/invalidate`, `POST
 * /internal/reads`, `POST /internal/usage`, `POST /internal/warm`. Every request needs a MAC made with the cluster's key. `102 Processing` is
 * sent as a sign of life while the origin is slow.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { chunkFields } from '#cache/core/chunk.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { rangeLength } from '#cache/core/object.ts';
import { ownValue } from '#cache/core/own-value.ts';
import { nonceMemory, verifyRequest, type NonceMemory } from '#cache/core/peer/auth.ts';
import { checkPeerTerms, FILL_PATH, parseFillQuery, parseFillTerms } from '#cache/core/peer/fill-request.ts';
import { encodeHeadAnswer } from '#cache/core/peer/head-message.ts';
import { HEAD_PATH, INVALIDATE_PATH, parseHeadQuery, parseInvalidateQuery } from '#cache/core/peer/head-request.ts';
import { READS_PATH, USAGE_PATH } from '#cache/core/peer/report-request.ts';
import { formatNotCoordinator } from '#cache/core/peer/refusal.ts';
import { WARM_PATH } from '#cache/core/peer/warm-request.ts';
import { withDeadline } from '#shared/abortable.ts';
import type { Clock } from '#cache/engine/ports.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { abortOnClose, openHttpListener, type HttpListener } from '#cache/http/listener/http-listener.ts';
import { plainAddress } from '#cache/http/listener/plain-address.ts';
import { ownSocket, sendBody } from '#cache/http/listener/send-body.ts';
import { throttledLog } from '#cache/http/listener/throttled-log.ts';
import type { LogFields } from '#shared/log.ts';
import { withRequestTrace } from '#shared/trace.ts';
import { proofOf, sendEmpty, sendJson, sendRefusal, type Requester } from './answer.ts';
import type { Handler, PeerCall, PeerListenerOptions } from './call.ts';
import { checkServed } from './check-served.ts';
import { receiveReads, receiveUsage } from './reports.ts';
import { RequestBodies } from './request-body.ts';
import { warm } from './warm.ts';

/** A requester declares this replica dead after 3 s without a byte: several of these may be late or lost. */
const PROCESSING_INTERVAL_MS = 500;
/** Nonces of state-changing calls, kept for the five minutes in which a replay would be accepted: 50 a second. */
const MAX_NONCES = 16_384;
/**
 * Nonces of calls to warm a chunk, in a memory of their own, so that a fast prewarm does not evict other nonces: 100 a second,
 * 800 MB/s of chunks of 8 MiB.
 */
const MAX_WARM_NONCES = 32_768;
/** Anyone can send unauthorized requests; the metric counts all of them, the log is throttled. */
const REFUSAL_LOG_MS = 1_000;
const NO_BODY = new Uint8Array(0);
/** 64 streams from each of 64 replicas; unauthenticated connections count against the same limit. */
const MAX_CONNECTIONS = 4096;

export function openPeerListener(options: PeerListenerOptions): HttpListener {
  const bodies = new RequestBodies();
  const warmNonces = nonceMemory(MAX_WARM_NONCES);
  const handlers: Readonly<Record<string, Handler>> = {
    [`GET ${FILL_PATH}`]: fill,
    [`GET ${HEAD_PATH}`]: head,
    [`POST ${INVALIDATE_PATH}`]: invalidate,
    [`POST ${READS_PATH}`]: (call) => receiveReads(call, bodies),
    [`POST ${USAGE_PATH}`]: (call) => receiveUsage(call, bodies),
    [`POST ${WARM_PATH}`]: (call) => warm(call, () => checkNonce(warmNonces, options.clock, call.requester)),
  };
  const logRefused = throttledLog(options.clock, REFUSAL_LOG_MS, (fields) =>
    options.log.warn('peer request refused: no valid MAC', fields),
  );
  const listener = { ...options, logRefused, nonces: nonceMemory(MAX_NONCES) };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { traceparent } = request.headers;
    // The replica that a client has asked decides which traces are recorded.
    const tracer = traceparent === undefined ? undefined : options.tracer;
    void withRequestTrace(tracer, traceparent, 'peer', () => handle(listener, handlers, request, response));
  };
  return openHttpListener(onRequest, {
    maxConnections: MAX_CONNECTIONS,
    onShed: (reason) => options.observer.peerShed(reason),
    unackedBytes: options.unackedBytes,
  });
}

interface Listener extends PeerListenerOptions {
  readonly nonces: NonceMemory;
  readonly logRefused: (fields: LogFields) => void;
}

async function handle(
  options: Listener,
  handlers: Readonly<Record<string, Handler>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const name = `${request.method} ${path}`;
  const handler = ownValue(handlers, name);
  const counted = handler === undefined ? 'unknown' : path;
  const requester = authenticate(options, request);
  if (requester === 'unauthorized') {
    options.observer.peerRequest(counted, 'unauthorized');
    response.writeHead(401, { 'Content-Length': 0 }).end();
    return;
  }
  response.setHeader('X-Orca-Epoch', options.peers.current().epoch);
  const stopProcessing = keepAlive(options.clock, response);
  const signal = abortOnClose(request, response);
  const admitOnce = () => checkNonce(options.nonces, options.clock, requester);
  const call: PeerCall = { options, request, response, requester, query, signal, stopProcessing, admitOnce, etag: '' };
  try {
    if (handler === undefined) throw new OrcaError('bad_request', 'unknown method or path');
    checkPeerTerms(request.headers);
    options.observer.peerRequest(counted, await handler(call));
  } catch (thrown) {
    const error = asOrcaError(thrown, 'internal', 'unexpected');
    stopProcessing();
    options.observer.peerRequest(counted, error.code);
    if (error.code === 'internal')
      options.log.error('peer request failed', {
        call: counted,
        ...(call.chunk !== undefined && { chunk: chunkFields(call.chunk) }),
        error,
      });
    sendRefusal(response, requester, call.etag, error, options.peers.current().epoch);
  }
}

async function fill(call: PeerCall): Promise<string> {
  const { options, request, response, requester } = call;
  const query = parseFillQuery(call.query, options);
  const { etag } = query.chunk.object;
  call.etag = etag;
  call.chunk = query.chunk;
  checkServed(options, query.chunk.object);
  const terms = parseFillTerms(request.headers);
  const requestId = String(request.headers['x-orca-request-id'] ?? '');
  const socket = await ownSocket(response, call.signal);
  const pace = new ReaderPace();
  // The requester's deadline bounds the wait for the first byte, not the stream that follows.
  const late = () => new OrcaError('origin_unavailable', `no bytes within the requested ${terms.deadlineMs} ms`);
  const reply = await withDeadline(options.clock, terms.deadlineMs, late, call.signal, (signal) =>
    options.engine.serveFill({ ...query, ...terms, signal, requestId, pace }),
  );
  call.stopProcessing();
  switch (reply.kind) {
    case 'bytes': {
      const lengthBytes = rangeLength(query.range);
      const headers = {
        'Content-Length': lengthBytes,
        'Content-Type': 'application/octet-stream',
        'X-Orca-Source': reply.source,
      };
      response.writeHead(200, { ...headers, ...proofOf(requester, { status: 200, lengthBytes, etag, reason: '' }) });
      await sendBody(response, socket, reply.body, lengthBytes, {
        clock: options.clock,
        pace,
        stallLimitMs: () => options.engine.stallLimitMs(),
        unackedBytes: options.unackedBytes,
        memory: options.engine.memory,
        onServed: () => {},
        onStall: (outcome) => options.observer.peerStalled(outcome),
      });
      break;
    }
    case 'stored':
    case 'none':
      sendEmpty(response, requester, etag, { 'X-Orca-Chunk': reply.kind }, reply.kind);
      break;
    case 'not_coordinator':
      sendJson(response, requester, 409, etag, formatNotCoordinator(reply));
      break;
  }
  return reply.kind;
}

async function head(call: PeerCall): Promise<string> {
  const { options, response, requester } = call;
  const { object, maxAgeMs } = parseHeadQuery(call.query);
  checkServed(options, object);
  const known = await options.engine.metadata.serve(object, maxAgeMs, call.signal);
  call.stopProcessing();
  const ageMs = Math.ceil(known.ageMs);
  // The header is for replicas of an older release.
  sendJson(response, requester, 200, '', encodeHeadAnswer(known.head, ageMs), { 'X-Orca-Age-Ms': String(ageMs) });
  return 'ok';
}

async function invalidate(call: PeerCall): Promise<string> {
  const { options, response, requester } = call;
  const { object, etag } = parseInvalidateQuery(call.query);
  call.etag = etag;
  checkServed(options, object);
  call.admitOnce();
  options.engine.metadata.forget(object, etag);
  call.stopProcessing();
  sendEmpty(response, requester, etag, {}, '');
  return 'ok';
}

function authenticate(options: Listener, request: IncomingMessage): Requester | undefined | 'unauthorized' {
  const { keys } = options;
  if (keys === undefined) return undefined;
  const { method = '', url: target = '', headers } = request;
  const signed = { method, target, receiver: options.peers.current().self, headers, body: NO_BODY };
  const verdict = verifyRequest(keys.current(), signed, options.clock.date());
  if (verdict.ok) return verdict;
  options.logRefused({ reason: verdict.reason, from: plainAddress(request.socket.remoteAddress) });
  return 'unauthorized';
}

function checkNonce(nonces: NonceMemory, clock: Clock, requester: Requester | undefined): void {
  if (requester !== undefined && !nonces.admit(requester.nonce, requester.dateMs, clock.date()))
    throw new OrcaError('bad_request', 'replayed request: nonce already used');
}

/** Sends `102 Processing` at intervals until the returned function is called or the status line is sent. */
function keepAlive(clock: Clock, response: ServerResponse): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(PROCESSING_INTERVAL_MS, () => {
      if (response.headersSent || response.destroyed) return;
      // A pipelined response has no socket until its turn.
      if (response.socket !== null) response.writeProcessing();
      next();
    });
  };
  next();
  return () => cancel();
}
