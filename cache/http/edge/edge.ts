/**
 * The clients' listener: the read operations of S3. S3 routes by sub-resource and raw target, not by path patterns, so
 * routing and the byte path share one parse (docs/adr/0003-hono-for-ops-only.md).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ACCEPTS_ALL, parseCacheControl } from '#cache/core/cache-control.ts';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { hasCustomerKey, notApplicable } from '#cache/core/s3/customer-key.ts';
import type { Caller } from '#cache/core/s3/key-ring.ts';
import { authorityOf, bucketOfHost, parseRequestTarget, type RequestTarget } from '#cache/core/s3/request-target.ts';
import type { BucketTable } from '#cache/engine/buckets/bucket-rule.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { ShedReason } from '#cache/http/listener/connection-table.ts';
import {
  abortOnClose,
  abortOnCloseLater,
  openHttpListener,
  type HttpListener,
  type TlsKeys,
} from '#cache/http/listener/http-listener.ts';
import type { StallOutcome } from '#cache/http/listener/send-body.ts';
import { sendDocument } from '#cache/http/listener/send-document.ts';
import type { UnackedBytes } from '#cache/http/listener/send-queues.ts';
import { hasBody, respondError, rowFor, type ErrorContext } from '#cache/http/respond.ts';
import type { Log } from '#shared/log.ts';
import type { Soon } from '#shared/soon.ts';
import { withRequestTrace, type Span, type SpanAttributes, type Tracer } from '#shared/trace.ts';
import { authenticate, type EdgeAuth } from './authenticate.ts';
import type { AccessLog } from './access-log.ts';
import { serveAttributes } from './attributes.ts';
import {
  commonHeaders,
  requireBucketAccess,
  requireReadAccess,
  type CacheStatus,
  type EdgeCall,
  type EdgeResult,
} from './call.ts';
import { allowOrigin, preflight } from './cors.ts';
import { expectOwner } from './expected-owner.ts';
import { bucketLocation, headBucket, listBuckets, listObjects, requireServed, type ServedBuckets } from './lists.ts';
import { headObject, serveObject } from './object.ts';
import { newRequestId } from './request-id.ts';
import { RequestLog, type Ended } from './request-log.ts';
import { serveSubResource, subResourceOf } from './sub-resources.ts';
import { listVersions } from './versions.ts';

export interface EdgeObserver {
  request(method: string, status: number, cache: CacheStatus, durationMs: number, bucket: string, key: string): void;
  firstByte(durationMs: number): void;
  served(source: Source, lengthBytes: number, bucket: string): void;
  stalled(outcome: StallOutcome): void;
  shed(reason: ShedReason): void;
}

export interface EdgeOptions {
  readonly engine: Engine;
  readonly auth: EdgeAuth;
  /** undefined = HTTP. */
  readonly tls: TlsKeys | undefined;
  readonly region: string;
  readonly buckets: BucketTable;
  readonly virtualHostDomains: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxConnections: number;
  /** `Cache-Control` of requests has no effect. */
  readonly ignoreCacheControl: boolean;
  readonly explain: boolean;
  readonly clock: Clock;
  readonly unackedBytes: UnackedBytes;
  readonly observer: EdgeObserver;
  /** undefined = no spans. */
  readonly tracer: Tracer | undefined;
  readonly log: Log;
  /** undefined = none. */
  readonly accessLog: AccessLog | undefined;
}

interface Edge extends EdgeOptions {
  readonly served: ServedBuckets;
  readonly requestLog: RequestLog;
  readonly stallLimitMs: () => number;
  readonly onStall: (outcome: StallOutcome) => void;
}

export function openEdge(options: EdgeOptions): HttpListener {
  const { engine, region, buckets: names, clock } = options;
  const edge = {
    ...options,
    served: { engine, region, names, createdMs: clock.date() },
    requestLog: new RequestLog(options),
    stallLimitMs: () => engine.stallLimitMs(),
    onStall: (outcome: StallOutcome) => options.observer.stalled(outcome),
  };
  return openHttpListener((request, response) => trace(edge, request, response), {
    maxConnections: options.maxConnections,
    onShed: (reason) => options.observer.shed(reason),
    tls: options.tls,
    unackedBytes: options.unackedBytes,
  });
}

function trace(edge: Edge, request: IncomingMessage, response: ServerResponse): void {
  void withRequestTrace(edge.tracer, request.headers['traceparent'], 'edge', (span) =>
    handle(edge, request, response, span),
  );
}

/** A request whose answer is known, such as a read from memory, is handled within one turn. */
function handle(
  edge: Edge,
  request: IncomingMessage,
  response: ServerResponse,
  span?: Span,
): Promise<void> | undefined {
  const startedMs = performance.now();
  const requestId = newRequestId();
  const method = request.method ?? '';
  let context: ErrorContext = { requestId, bucket: '', key: '' };
  const elapsedMs = () => performance.now() - startedMs;
  // Request bodies are discarded; without this a connection that sends one stalls.
  if (hasBody(request)) request.resume();
  const traced = edge.requestLog.begin(request);
  let caller: Caller | undefined;
  let query: RequestTarget['query'] | undefined;
  const ended = (result: EdgeResult, durationMs: number): Ended => ({
    request,
    response,
    context,
    caller,
    query,
    result,
    elapsedMs: durationMs,
  });
  const succeed = (result: EdgeResult): void => {
    const durationMs = elapsedMs();
    edge.observer.request(method, result.status, result.cache, durationMs, context.bucket, context.key);
    span?.set(spanAttributes(method, context, result));
    if (traced !== undefined) edge.requestLog.succeeded(traced, ended(result, durationMs));
  };
  const fail = (error: unknown): void => {
    const known = asOrcaError(error, 'internal', 'unexpected');
    if (!response.headersSent) identify(response, requestId);
    if (context.bucket !== '' && context.key === '') setRegion(edge, response);
    const sent = respondError(request, response, known, context);
    const status = known.code === 'cancelled' ? rowFor(known).status : sent;
    const durationMs = elapsedMs();
    edge.observer.request(method, status, 'NONE', durationMs, context.bucket, context.key);
    span?.set({ ...spanAttributes(method, context, { status, cache: 'NONE' }), 'error.type': known.code });
    edge.requestLog.failed(traced, ended({ status, cache: 'NONE' }, durationMs), known);
  };
  try {
    allowOrigin(edge.corsOrigins, request, response);
    const raw = request.url ?? '/';
    const host = authorityOf(raw) ?? request.headers.host ?? '';
    const target = parseRequestTarget(raw, bucketOfHost(host, edge.virtualHostDomains));
    query = target.query;
    context = { requestId, bucket: target.bucket, key: target.key, versionId: target.query.get('versionId') };
    if (method === 'OPTIONS') {
      identify(response, requestId);
      succeed({ status: preflight(edge.corsOrigins, request, response), cache: 'NONE' });
      return undefined;
    }
    caller = authenticate(edge.auth, request, target, edge.clock);
    const cacheControl = edge.ignoreCacheControl ? ACCEPTS_ALL : parseCacheControl(request.headers['cache-control']);
    const call = { request, response, target, caller, requestId, cacheControl, trace: traced?.trace, elapsedMs };
    const answered = route(edge, call);
    if (answered instanceof Promise) return answered.then(succeed).catch(fail);
    succeed(answered);
  } catch (error) {
    fail(error);
  }
  return undefined;
}

function identify(response: ServerResponse, requestId: string): void {
  const headers = commonHeaders(requestId);
  for (let at = 0; at < headers.length; at += 2) response.setHeader(headers[at]!, headers[at + 1]!);
}

function spanAttributes(method: string, { requestId, bucket, key }: ErrorContext, result: EdgeResult): SpanAttributes {
  return {
    'http.request.method': method,
    'http.response.status_code': result.status,
    'orca.request_id': requestId,
    'orca.bucket': bucket,
    'orca.key': key,
    'orca.cache': result.cache,
  };
}

function route(edge: Edge, call: EdgeCall): Soon<EdgeResult> {
  const { request, response, target, caller } = call;
  const { bucket, key, query } = target;
  if (bucket !== '') requireBucketAccess(caller, bucket);
  if (key !== '') requireReadAccess(caller, bucket, key);
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new OrcaError('method_not_allowed', `${request.method} is not allowed`, {
      fields: {
        Method: request.method ?? '',
        ResourceType: key !== '' ? 'OBJECT' : bucket !== '' ? 'BUCKET' : 'SERVICE',
      },
    });
  // `//bucket/key`: no bucket has an empty name, and this is not a request for the list of buckets.
  if (bucket === '' && key !== '') throw new OrcaError('bucket_not_found', 'a bucket without a name');
  const subResource = subResourceOf(query);
  // An object's response writes all of its headers at once, which costs less.
  if (key === '' || subResource !== undefined) identify(response, call.requestId);
  if (bucket === '') return listBuckets(edge.served, call);
  const owner = request.headers['x-amz-expected-bucket-owner']?.toString() ?? '';
  if (owner === '') return serve(edge, call, subResource);
  return expectOwner(edge.engine, call, owner).then(() => serve(edge, call, subResource));
}

/** What the call is about: a bucket, an object, or a document about one of them. */
function serve(edge: Edge, call: EdgeCall, subResource: string | undefined): Soon<EdgeResult> {
  const { request, response } = call;
  const { key, query } = call.target;
  if (key === '' && query.has('versionId'))
    throw new OrcaError('invalid_argument', 'This operation does not accept a version-id.', {
      fields: { ArgumentName: 'versionId', ArgumentValue: query.get('versionId') ?? '' },
    });
  if (key === '') {
    setRegion(edge, response);
    return sendDocument(request, response, edge.engine.memory, () => serveBucket(edge, call, subResource));
  }
  if ((subResource === undefined || subResource === 'attributes') && hasCustomerKey(request.headers))
    return refuseCustomerKey(edge, call);
  if (subResource === undefined) return serveObjectBytes(edge, call);
  if (subResource === 'attributes') return serveAttributes(edge.engine, call);
  return sendDocument(request, response, edge.engine.memory, () => serveSubResource(edge.engine, call, subResource));
}

async function refuseCustomerKey({ engine }: Edge, call: EdgeCall): Promise<never> {
  await headObject(engine, call, abortOnClose(call.request, call.response));
  throw notApplicable();
}

async function serveBucket(edge: Edge, call: EdgeCall, subResource: string | undefined): Promise<EdgeResult> {
  if (subResource === 'location') return bucketLocation(edge.served, call);
  if (subResource === 'versions') return listVersions(edge.served, call);
  if (subResource !== undefined) {
    requireServed(edge.buckets, call.target.bucket);
    return serveSubResource(edge.engine, call, subResource);
  }
  return call.request.method === 'HEAD' ? headBucket(edge.served, call) : listObjects(edge.served, call);
}

function serveObjectBytes(edge: Edge, call: EdgeCall): Soon<EdgeResult> {
  const { request, response, trace } = call;
  const { engine, observer, explain, clock, unackedBytes, stallLimitMs, onStall } = edge;
  const { bucket } = call.target;
  return serveObject(engine, call, {
    signal: abortOnCloseLater(request, response),
    explain,
    clock,
    unackedBytes,
    stallLimitMs,
    onServed: (source, lengthBytes) => {
      observer.served(source, lengthBytes, bucket);
      trace?.served(source, lengthBytes);
    },
    onStall,
    firstByte: (elapsedMs) => observer.firstByte(elapsedMs),
  });
}

function setRegion({ region }: Edge, response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('x-amz-bucket-region', region);
}
