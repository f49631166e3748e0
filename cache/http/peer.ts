/**
 * The replicas' listener: `GET /internal/fill`. A request without the cluster's MAC is nobody's; every final answer is
 * proved by the key that was accepted; `102 Processing` tells the asker that we live while the origin is slow.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { formatNotCoordinator, refusalOf } from '#cache/core/fill-refusal.ts';
import { FILL_PATH, parseFillQuery, parseFillTerms, type FillQuery } from '#cache/core/fill-request.ts';
import { rangeLength } from '#cache/core/object.ts';
import { PROOF_HEADER, proveAnswer, verifyRequest, type PeerKeys } from '#cache/core/peer-auth.ts';
import { withDeadline } from '#cache/engine/abortable.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Clock, PeerView } from '#cache/engine/ports.ts';
import type { BucketRule } from '#cache/engine/read.ts';
import type { FillReply } from '#cache/engine/serve-fill.ts';
import type { Log } from '#shared/log.ts';
import { abortOnClose, openHttpListener, type HttpListener } from './connections.ts';
import { ownSocket, sendBody } from './send-body.ts';

/** Less than half of what an asker takes for death (1.2 s). */
const PROCESSING_INTERVAL_MS = 500;

export interface PeerListenerOptions {
  readonly engine: Engine;
  readonly peers: PeerView;
  /** Undefined = development: no MACs, no proofs. */
  readonly keys: { current(): PeerKeys } | undefined;
  readonly originId: string;
  readonly buckets: readonly BucketRule[];
  readonly maxChunkSizeBytes: number;
  readonly clock: Clock;
  readonly observer: { peerRequest(outcome: string): void };
  readonly log: Log;
}

export function openPeerListener(options: PeerListenerOptions): HttpListener {
  return openHttpListener((request, response) => void handle(options, request, response));
}

async function handle(options: PeerListenerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const answerer = authenticate(options, request);
  if (answerer === undefined) {
    options.observer.peerRequest('unauthorized');
    response.writeHead(401, { 'Content-Length': 0 }).end();
    return;
  }
  response.setHeader('X-Orca-Epoch', options.peers.current().epoch);
  const stopProcessing = keepAlive(options.clock, response);
  let asked: FillQuery | undefined;
  try {
    const query = parse(options, request);
    asked = query;
    const terms = parseFillTerms(request.headers);
    const signal = abortOnClose(request, response);
    const requestId = String(request.headers['x-orca-request-id'] ?? '');
    const socket = await ownSocket(response, signal);
    // The asker's patience bounds the wait for a first byte, not the stream behind it.
    const late = () => new OrcaError('origin_unavailable', `no byte within the asker's ${terms.deadlineMs} ms`);
    const reply = await withDeadline(options.clock, terms.deadlineMs, late, signal, (bounded) =>
      options.engine.serveFill({ ...query, ...terms, signal: bounded, requestId }),
    );
    stopProcessing();
    options.observer.peerRequest(reply.kind);
    await answer(response, socket, answerer, query, reply);
  } catch (error) {
    stopProcessing();
    refuse(options, response, answerer, asked, asOrcaError(error, 'internal', 'unexpected'));
  }
}

/** Writes the proof of one answer; without keys, nothing. */
type Answerer = (answer: {
  status: number;
  lengthBytes: number;
  etag: string;
  reason: string;
}) => Record<string, string>;

function authenticate(options: PeerListenerOptions, request: IncomingMessage): Answerer | undefined {
  const { keys } = options;
  if (keys === undefined) return () => ({});
  const verdict = verifyRequest(
    keys.current(),
    {
      method: request.method ?? '',
      target: request.url ?? '',
      receiver: options.peers.current().self,
      headers: request.headers,
      body: NO_BODY,
    },
    options.clock.now(),
  );
  if (!verdict.ok) {
    options.log.warn('a peer request is refused', { reason: verdict.reason, from: request.socket.remoteAddress });
    return undefined;
  }
  return (answer) => ({ [PROOF_HEADER]: proveAnswer(verdict.key, { nonce: verdict.nonce, ...answer }) });
}

const NO_BODY = new Uint8Array(0);

function parse(options: PeerListenerOptions, request: IncomingMessage): FillQuery {
  const [path, query = ''] = (request.url ?? '').split('?', 2);
  if (request.method !== 'GET' || path !== FILL_PATH) throw new OrcaError('bad_request', 'no such call');
  const asked = parseFillQuery(query, options);
  const { originId, bucket, key } = asked.chunk.object;
  if (originId !== options.originId) throw new OrcaError('bad_request', 'another origin');
  const served = options.buckets.some((rule) => rule.originBucket === bucket && key.startsWith(rule.prefix));
  if (!served) throw new OrcaError('bad_request', 'the bucket or prefix is not allowed');
  return asked;
}

async function answer(
  response: ServerResponse,
  socket: Parameters<typeof sendBody>[1],
  prove: Answerer,
  asked: FillQuery,
  reply: FillReply,
): Promise<void> {
  const { etag } = asked.chunk.object;
  switch (reply.kind) {
    case 'bytes': {
      const lengthBytes = rangeLength(asked.range);
      const headers = { 'Content-Length': lengthBytes, 'Content-Type': 'application/octet-stream' };
      response.writeHead(200, { ...headers, ...prove({ status: 200, lengthBytes, etag, reason: '' }) });
      await sendBody(response, socket, reply.body, lengthBytes, () => {});
      return;
    }
    case 'stored':
    case 'none':
      response.writeHead(204, {
        'X-Orca-Chunk': reply.kind,
        ...prove({ status: 204, lengthBytes: 0, etag, reason: reply.kind }),
      });
      response.end();
      return;
    case 'not_coordinator':
      sendJson(response, prove, 409, etag, formatNotCoordinator(reply), {});
      return;
  }
}

function refuse(
  options: PeerListenerOptions,
  response: ServerResponse,
  prove: Answerer,
  asked: FillQuery | undefined,
  error: OrcaError,
): void {
  options.observer.peerRequest(error.code);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const etag = asked?.chunk.object.etag ?? '';
  const refusal = refusalOf(error);
  if (refusal !== undefined) {
    const { retryAfterSeconds } = refusal;
    const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
    sendJson(response, prove, refusal.status, etag, refusal.body, headers);
    return;
  }
  if (error.code === 'not_coordinator') {
    const { epoch } = options.peers.current();
    sendJson(response, prove, 409, etag, formatNotCoordinator({ owner: undefined, epoch }), {});
    return;
  }
  const isRequest = error.code === 'bad_request';
  if (!isRequest && error.code !== 'cancelled') options.log.error('a peer request failed', { error });
  const body = JSON.stringify({ reason: error.code, message: isRequest ? error.message : 'internal error' });
  sendJson(response, prove, isRequest ? 400 : 500, etag, body, {});
}

function sendJson(
  response: ServerResponse,
  prove: Answerer,
  status: number,
  etag: string,
  body: string,
  headers: Record<string, string>,
): void {
  const lengthBytes = Buffer.byteLength(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': lengthBytes,
    ...headers,
    ...prove({ status, lengthBytes, etag, reason: body }),
  });
  response.end(body);
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
