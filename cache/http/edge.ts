/**
 * The clients' listener: S3's read surface. S3 routes by sub-resource and raw target, not by path patterns, so the
 * routing is here and byte path and routing share one parse (docs/adr/0003-hono-off-the-byte-path.md).
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asOrcaError, OrcaError } from '#cache/core/errors.ts';
import { parseTarget, type Target } from '#cache/core/target.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/piece.ts';
import type { Log } from '#shared/log.ts';
import { abortOnClose, openHttpListener, type HttpListener } from './connections.ts';
import { serveObject } from './object.ts';
import { respondError, rowFor } from './respond.ts';

/** Queries that name another resource than the object's bytes: they must never be answered with those. */
const SUB_RESOURCES = new Set([
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'list-type',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'partNumber',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
]);
/** Overrides of response headers are for signed requests only; the cache knows none yet. */
const OVERRIDE_PREFIX = 'response-';

export interface EdgeObserver {
  request(method: string, status: number, cache: string, durationMs: number): void;
  firstByte(durationMs: number): void;
  served(source: Source, lengthBytes: number): void;
}

export interface EdgeOptions {
  readonly engine: Engine;
  readonly region: string;
  readonly buckets: ReadonlySet<string>;
  readonly maxConnections: number;
  readonly explain: boolean;
  readonly observer: EdgeObserver;
  readonly log: Log;
}

export function openEdge(options: EdgeOptions): HttpListener {
  return openHttpListener((request, response) => void handle(options, request, response), options.maxConnections);
}

async function handle(options: EdgeOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = performance.now();
  const requestId = randomBytes(8).toString('hex').toUpperCase();
  const method = request.method ?? '';
  let place = { requestId, bucket: '', key: '' };
  response.setHeader('x-amz-request-id', requestId);
  response.setHeader('x-amz-id-2', requestId);
  const elapsedMs = () => performance.now() - startedMs;
  // Nobody's body is read here; without this a connection with one stalls.
  request.resume();
  try {
    const target = parseTarget(request.url ?? '/');
    place = { requestId, bucket: target.bucket, key: target.key };
    const answer = await route(options, { request, response, target, requestId }, elapsedMs);
    options.observer.request(method, answer.status, answer.cache, elapsedMs());
  } catch (error) {
    const known = asOrcaError(error, 'internal', 'unexpected');
    const status = respondError(request, response, known, place);
    options.observer.request(method, known.code === 'cancelled' ? 499 : status, 'NONE', elapsedMs());
    options.log[rowFor(known).log]('request failed', { ...place, method, status, error: known });
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly requestId: string;
}

async function route(
  options: EdgeOptions,
  exchange: Exchange,
  elapsedMs: () => number,
): Promise<{ readonly status: number; readonly cache: string }> {
  const { request, response, target } = exchange;
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new OrcaError('method_not_allowed', `${request.method} is not allowed`);
  for (const name of target.query.keys()) {
    if (SUB_RESOURCES.has(name)) throw new OrcaError('not_implemented', `?${name} is not implemented`);
    if (name.startsWith(OVERRIDE_PREFIX))
      throw new OrcaError(
        'bad_request',
        'Request specific response headers cannot be used for anonymous GET requests.',
      );
  }
  if (target.key !== '') {
    const signal = abortOnClose(request, response);
    const { observer, engine } = options;
    return serveObject(
      engine,
      { ...exchange, signal, explain: options.explain },
      {
        firstByte: () => observer.firstByte(elapsedMs()),
        served: (source, lengthBytes) => observer.served(source, lengthBytes),
      },
    );
  }
  if (target.bucket === '') throw new OrcaError('not_implemented', 'listing buckets is not implemented');
  return serveBucket(options, exchange);
}

function serveBucket(options: EdgeOptions, exchange: Exchange): { readonly status: number; readonly cache: string } {
  const { request, response, target } = exchange;
  response.setHeader('x-amz-bucket-region', options.region);
  if (!options.buckets.has(target.bucket))
    throw new OrcaError('bucket_not_found', `bucket ${target.bucket} is not served here`);
  if (request.method === 'GET') throw new OrcaError('not_implemented', 'listing objects is not implemented');
  response.writeHead(200, { 'Content-Length': 0 }).end();
  return { status: 200, cache: 'NONE' };
}
