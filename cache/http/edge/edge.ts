/**
 * The clients' listener: S3's read surface. S3 routes by sub-resource and raw target, not by path patterns, so the
 * routing is here and byte path and routing share one parse (docs/adr/0003-hono-for-ops-only.md).
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { authorityOf, bucketOfHost, parseTarget } from '#cache/core/s3/request-target.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/memory/piece.ts';
import type { Clock } from '#cache/engine/ports.ts';
import type { Log } from '#shared/log.ts';
import { authenticate, type EdgeAuth } from './authenticate.ts';
import type { Shed } from '#cache/http/listener/connection-table.ts';
import { abortOnClose, openHttpListener, type HttpListener, type TlsKeys } from '#cache/http/listener/http-listener.ts';
import { allowOrigin, preflight } from './cors.ts';
import { mustEnter, mustRead, sendXml, type Answered, type Exchange } from './request.ts';
import { bucketLocation, headBucket, listBuckets, listObjects, mustServe, type Buckets } from './lists.ts';
import { headObject, serveObject } from './object.ts';
import { respondError, rowFor } from '#cache/http/respond.ts';
import { BUCKET_ANSWERS, noneDocument, OBJECT_ANSWERS, subResourceOf, type StaticAnswer } from './sub-resources.ts';

const SERVER = 'OrcaCache';
/** AWS's are twelve digits; other servers have names. It goes into a header to the origin. */
const ACCOUNT = /^[\w.@+=,-]{1,64}$/;

export interface EdgeObserver {
  request(method: string, status: number, cache: string, durationMs: number): void;
  firstByte(durationMs: number): void;
  served(source: Source, lengthBytes: number): void;
  stalled(outcome: 'gave_back' | 'cut'): void;
  shed(why: Shed): void;
}

export interface EdgeOptions {
  readonly engine: Engine;
  readonly auth: EdgeAuth;
  /** undefined = HTTP. */
  readonly tls: TlsKeys | undefined;
  readonly region: string;
  readonly buckets: ReadonlySet<string>;
  readonly virtualHostDomains: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxConnections: number;
  readonly explain: boolean;
  readonly clock: Clock;
  readonly observer: EdgeObserver;
  readonly log: Log;
}

interface Edge extends EdgeOptions {
  readonly served: Buckets;
}

export function openEdge(options: EdgeOptions): HttpListener {
  const { engine, region, buckets: names, clock } = options;
  const edge = { ...options, served: { engine, region, names, createdMs: clock.date() } };
  return openHttpListener((request, response) => void handle(edge, request, response), {
    maxConnections: options.maxConnections,
    onShed: (why) => options.observer.shed(why),
    tls: options.tls,
  });
}

async function handle(edge: Edge, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = performance.now();
  const requestId = newRequestId();
  const method = request.method ?? '';
  let place = { requestId, bucket: '', key: '' };
  response.setHeader('x-amz-request-id', requestId);
  response.setHeader('x-amz-id-2', requestId);
  response.setHeader('Server', SERVER);
  const elapsedMs = () => performance.now() - startedMs;
  // Nobody's body is read here; without this a connection with one stalls.
  request.resume();
  try {
    allowOrigin(edge.corsOrigins, request, response);
    const raw = request.url ?? '/';
    const host = authorityOf(raw) ?? request.headers.host ?? '';
    const target = parseTarget(raw, bucketOfHost(host, edge.virtualHostDomains));
    place = { requestId, bucket: target.bucket, key: target.key };
    let answer: Answered;
    if (method === 'OPTIONS') {
      answer = { status: preflight(edge.corsOrigins, request, response), cache: 'NONE' };
    } else {
      const caller = authenticate(edge.auth, request, target, edge.clock);
      answer = await route(edge, { request, response, target, caller, requestId, elapsedMs });
    }
    edge.observer.request(method, answer.status, answer.cache, elapsedMs());
  } catch (error) {
    const known = asOrcaError(error, 'internal', 'unexpected');
    if (place.bucket !== '' && place.key === '') setRegion(edge, response);
    const status = respondError(request, response, known, place);
    edge.observer.request(method, known.code === 'cancelled' ? 499 : status, 'NONE', elapsedMs());
    edge.log[rowFor(known).log]('request failed', { ...place, method, status, error: known });
  }
}

/** 64 bits as S3's ids look; those that tell the kind of a UUID are left out. UUIDs come from a pool of random bytes. */
function newRequestId(): string {
  const uuid = randomUUID();
  return (uuid.slice(0, 8) + uuid.slice(24, 32)).toUpperCase();
}

async function route(edge: Edge, exchange: Exchange): Promise<Answered> {
  const { request, response, target, caller } = exchange;
  const { bucket, key, query } = target;
  if (bucket !== '') mustEnter(caller, bucket);
  if (key !== '') mustRead(caller, bucket, key);
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new OrcaError('method_not_allowed', `${request.method} is not allowed`, {
      fields: {
        Method: request.method ?? '',
        ResourceType: key !== '' ? 'OBJECT' : bucket !== '' ? 'BUCKET' : 'SERVICE',
      },
    });
  // `//bucket/key`: an empty name is no bucket's, and what follows it is not its list.
  if (bucket === '' && key !== '') throw new OrcaError('bucket_not_found', 'a bucket without a name');
  if (bucket === '') return listBuckets(edge.served, exchange);
  await expectOwner(edge, exchange);
  const subResource = subResourceOf(query);
  if (key === '') {
    setRegion(edge, response);
    return serveBucket(edge, exchange, subResource);
  }
  if (subResource === undefined) return serveObjectBytes(edge, exchange);
  const answer = OBJECT_ANSWERS[subResource];
  if (answer === undefined) throw notImplemented(subResource);
  await headObject(edge.engine, exchange, abortOnClose(request, response));
  return sendStatic(exchange, answer());
}

/** A client that says whose bucket it takes this to be must not be given another's. */
async function expectOwner({ engine }: Edge, { request, response, target }: Exchange): Promise<void> {
  const owner = request.headers['x-amz-expected-bucket-owner']?.toString() ?? '';
  if (owner === '') return;
  if (!ACCOUNT.test(owner))
    throw new OrcaError(
      'invalid_argument',
      'The value of the expected bucket owner parameter must be an AWS account ID',
      {
        fields: { ArgumentName: 'x-amz-expected-bucket-owner' },
      },
    );
  await engine.checkOwner(target, owner, abortOnClose(request, response));
}

async function serveBucket(edge: Edge, exchange: Exchange, subResource: string | undefined): Promise<Answered> {
  if (subResource === 'location') return bucketLocation(edge.served, exchange);
  if (subResource !== undefined) {
    mustServe(edge.buckets, exchange.target.bucket);
    const answer = BUCKET_ANSWERS[subResource];
    if (answer === undefined) throw notImplemented(subResource);
    return sendStatic(exchange, answer(exchange.target.bucket));
  }
  return exchange.request.method === 'HEAD' ? headBucket(edge.served, exchange) : listObjects(edge.served, exchange);
}

function serveObjectBytes(edge: Edge, exchange: Exchange): Promise<Answered> {
  const { request, response } = exchange;
  const { engine, observer, explain, clock } = edge;
  return serveObject(engine, exchange, {
    signal: abortOnClose(request, response),
    explain,
    clock,
    firstByte: () => observer.firstByte(exchange.elapsedMs()),
    served: (source, lengthBytes) => observer.served(source, lengthBytes),
    stalled: (outcome) => observer.stalled(outcome),
  });
}

function sendStatic(exchange: Exchange, answer: StaticAnswer): Answered {
  if ('document' in answer) return sendXml(exchange, 200, answer.document);
  const { target, requestId } = exchange;
  const place = {
    Key: target.key === '' ? undefined : target.key,
    BucketName: target.bucket,
    RequestId: requestId,
    HostId: requestId,
  };
  return sendXml(exchange, answer.status, noneDocument(answer, place));
}

function setRegion({ region }: Edge, response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('x-amz-bucket-region', region);
}

function notImplemented(subResource: string): OrcaError {
  return new OrcaError('not_implemented', `?${subResource} is not implemented`);
}
