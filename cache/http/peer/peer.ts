/**
 * The replicas' listener: `GET /internal/fill`, `GET /internal/head`, `POST /internal/invalidate`. A request without the
 * cluster's MAC is nobody's; `102 Processing` tells the asker that we live while the origin is slow.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { staysUnder } from '#cache/core/s3/path-traversal.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { formatNotCoordinator } from '#cache/core/peer/refusal.ts';
import { checkPeerTerms, FILL_PATH, parseFillQuery, parseFillTerms } from '#cache/core/peer/fill-request.ts';
import { encodeHead } from '#cache/core/peer/head-message.ts';
import {
  HEAD_PATH,
  INVALIDATE_PATH,
  parseHeadQuery,
  parseInvalidateQuery,
  type ObjectName,
} from '#cache/core/peer/head-request.ts';
import { rangeLength } from '#cache/core/object.ts';
import { nonceMemory, verifyRequest, type NonceMemory, type PeerKeys } from '#cache/core/peer/auth.ts';
import { withDeadline } from '#cache/engine/abortable.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { BucketRule } from '#cache/engine/read.ts';
import type { Log, LogFields } from '#shared/log.ts';
import type { Shed } from '#cache/http/listener/connection-table.ts';
import { abortOnClose, openHttpListener, type HttpListener } from '#cache/http/listener/http-listener.ts';
import { proofOf, sendEmpty, sendJson, sendRefusal, type Asker } from './answer.ts';
import { seldom } from '#cache/http/listener/throttled-log.ts';
import { ownSocket, sendBody } from '#cache/http/listener/send-body.ts';

/** An asker takes 3 s without a byte for death: several of these may be late or lost. */
const PROCESSING_INTERVAL_MS = 500;
/** Calls that change something, remembered for the five minutes in which they could be replayed: 50 a second. */
const MAX_NONCES = 16_384;
/** Who has no key may ask as often as he likes; the metric counts each. */
const REFUSAL_LOG_MS = 1_000;
const NO_BODY = new Uint8Array(0);
/** The streams of 64 replicas, 64 each; who is none of them can't take more of us either. */
const MAX_CONNECTIONS = 4096;

export interface PeerListenerOptions {
  readonly engine: Engine;
  readonly peers: PeerView;
  /** Undefined = development: no MACs, no proofs. */
  readonly keys: { current(): PeerKeys } | undefined;
  readonly originId: string;
  readonly buckets: readonly BucketRule[];
  readonly maxChunkSizeBytes: number;
  readonly clock: Clock;
  readonly observer: {
    peerRequest(call: string, outcome: string): void;
    peerStalled(outcome: 'gave_back' | 'cut'): void;
    peerShed(why: Shed): void;
  };
  readonly log: Log;
}

interface Call {
  readonly options: PeerListenerOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly asker: Asker | undefined;
  readonly query: string;
  readonly signal: AbortSignal;
  /** Says 102 until it is called: right before the status line. */
  readonly stopProcessing: () => void;
  /** Of the version that the call is about, once that is known: refusals are proved with it. */
  etag: string;
}

/** Resolves with how it was answered. */
type Handler = (call: Call) => Promise<string>;

export function openPeerListener(options: PeerListenerOptions): HttpListener {
  const nonces = nonceMemory(MAX_NONCES);
  const handlers: Readonly<Record<string, Handler>> = {
    [`GET ${FILL_PATH}`]: fill,
    [`GET ${HEAD_PATH}`]: head,
    [`POST ${INVALIDATE_PATH}`]: (call) => invalidate(call, nonces),
  };
  const sayRefused = seldom(options.clock, REFUSAL_LOG_MS, (fields) =>
    options.log.warn('a peer request is refused', fields),
  );
  const listener = { ...options, sayRefused };
  return openHttpListener((request, response) => void handle(listener, handlers, request, response), {
    maxConnections: MAX_CONNECTIONS,
    onShed: (why) => options.observer.peerShed(why),
  });
}

interface Listener extends PeerListenerOptions {
  readonly sayRefused: (fields: LogFields) => void;
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
  const handler = handlers[name];
  const counted = handler === undefined ? 'unknown' : path;
  const asker = authenticate(options, request);
  if (asker === 'nobody') {
    options.observer.peerRequest(counted, 'unauthorized');
    response.writeHead(401, { 'Content-Length': 0 }).end();
    return;
  }
  response.setHeader('X-Orca-Epoch', options.peers.current().epoch);
  const stopProcessing = keepAlive(options.clock, response);
  const signal = abortOnClose(request, response);
  const call: Call = { options, request, response, asker, query, signal, stopProcessing, etag: '' };
  try {
    if (handler === undefined) throw new OrcaError('bad_request', 'no such call');
    checkPeerTerms(request.headers);
    options.observer.peerRequest(counted, await handler(call));
  } catch (thrown) {
    const error = asOrcaError(thrown, 'internal', 'unexpected');
    stopProcessing();
    options.observer.peerRequest(counted, error.code);
    if (error.code === 'internal') options.log.error('a peer request failed', { call: counted, error });
    sendRefusal(response, asker, call.etag, error, options.peers.current().epoch);
  }
}

async function fill(call: Call): Promise<string> {
  const { options, request, response, asker } = call;
  const asked = parseFillQuery(call.query, options);
  const { etag } = asked.chunk.object;
  call.etag = etag;
  checkServed(options, asked.chunk.object);
  const terms = parseFillTerms(request.headers);
  const requestId = String(request.headers['x-orca-request-id'] ?? '');
  const socket = await ownSocket(response, call.signal);
  const pace = new ReaderPace();
  // The asker's patience bounds the wait for a first byte, not the stream behind it.
  const late = () => new OrcaError('origin_unavailable', `no byte within the asker's ${terms.deadlineMs} ms`);
  const reply = await withDeadline(options.clock, terms.deadlineMs, late, call.signal, (signal) =>
    options.engine.serveFill({ ...asked, ...terms, signal, requestId, pace }),
  );
  call.stopProcessing();
  switch (reply.kind) {
    case 'bytes': {
      const lengthBytes = rangeLength(asked.range);
      const headers = {
        'Content-Length': lengthBytes,
        'Content-Type': 'application/octet-stream',
        'X-Orca-Source': reply.source,
      };
      response.writeHead(200, { ...headers, ...proofOf(asker, { status: 200, lengthBytes, etag, reason: '' }) });
      await sendBody(response, socket, reply.body, lengthBytes, {
        clock: options.clock,
        pace,
        stallLimitMs: () => options.engine.stallLimitMs(),
        onServed: () => {},
        onStall: (outcome) => options.observer.peerStalled(outcome),
      });
      break;
    }
    case 'stored':
    case 'none':
      sendEmpty(response, asker, etag, { 'X-Orca-Chunk': reply.kind }, reply.kind);
      break;
    case 'not_coordinator':
      sendJson(response, asker, 409, etag, formatNotCoordinator(reply));
      break;
  }
  return reply.kind;
}

async function head(call: Call): Promise<string> {
  const { options, response, asker } = call;
  const { object, maxAgeMs } = parseHeadQuery(call.query);
  checkServed(options, object);
  const known = await options.engine.metadata.serve(object, maxAgeMs, call.signal);
  call.stopProcessing();
  // The moment stays on our side of the wire: clocks differ, ages do not.
  const body = encodeHead({ head: known.head, learnedMs: 0 });
  sendJson(response, asker, 200, '', body, { 'X-Orca-Age-Ms': String(Math.ceil(known.ageMs)) });
  return 'ok';
}

async function invalidate(call: Call, nonces: NonceMemory): Promise<string> {
  const { options, response, asker } = call;
  const { object, etag } = parseInvalidateQuery(call.query);
  call.etag = etag;
  checkServed(options, object);
  if (asker !== undefined && !nonces.admit(asker.nonce, asker.dateMs, options.clock.date()))
    throw new OrcaError('bad_request', 'this call was made before');
  options.engine.metadata.forget(object, etag);
  call.stopProcessing();
  sendEmpty(response, asker, etag, {}, '');
  return 'ok';
}

function authenticate(options: Listener, request: IncomingMessage): Asker | undefined | 'nobody' {
  const { keys } = options;
  if (keys === undefined) return undefined;
  const { method = '', url: target = '', headers } = request;
  const signed = { method, target, receiver: options.peers.current().self, headers, body: NO_BODY };
  const verdict = verifyRequest(keys.current(), signed, options.clock.date());
  if (verdict.ok) return verdict;
  options.sayRefused({ reason: verdict.reason, from: request.socket.remoteAddress });
  return 'nobody';
}

/** The same allow-list as for clients, in the origin's names. */
function checkServed(options: PeerListenerOptions, { originId, bucket, key }: ObjectName): void {
  if (originId !== options.originId) throw new OrcaError('bad_request', 'another origin');
  const served = options.buckets.some((rule) => rule.originBucket === bucket && staysUnder(rule.prefix, key));
  if (!served) throw new OrcaError('bad_request', 'the bucket or prefix is not allowed');
}

/** Says `102 Processing` until it is told to stop or the status line is out. */
function keepAlive(clock: Clock, response: ServerResponse): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(PROCESSING_INTERVAL_MS, () => {
      if (response.headersSent || response.destroyed) return;
      // A pipelined response has no socket yet; its turn will come, or the asker gives up.
      if (response.socket !== null) response.writeProcessing();
      next();
    });
  };
  next();
  return () => cancel();
}
