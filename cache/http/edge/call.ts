/** One request of a client with everything that its route needs, and the checks and responses that routes share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientCacheControl } from '#cache/core/cache-control.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { mayAccessBucket, mayRead, type Caller } from '#cache/core/s3/key-ring.ts';
import type { RequestTarget } from '#cache/core/s3/request-target.ts';
import type { RequestTrace } from './request-trace.ts';

export interface EdgeCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  readonly caller: Caller;
  readonly requestId: string;
  /** The client's, unless `edge.ignoreClientCacheControl` is set. */
  readonly cacheControl: ClientCacheControl;
  /** Undefined unless the details of the request are logged. */
  readonly trace?: RequestTrace | undefined;
  /** Since the request was received. */
  readonly elapsedMs: () => number;
}

/** The values of X-Cache; `NONE`, which is not sent, for responses without cached bytes. */
export type CacheStatus = 'HIT' | 'MISS' | 'STALE' | 'NONE';

/** How a call was answered, for the log and the metrics. */
export interface EdgeResult {
  readonly status: number;
  readonly cache: CacheStatus;
}

/** The same refusal whether the bucket exists or not, so that callers without access can't find out. */
export function requireBucketAccess(caller: Caller, bucket: string): void {
  if (!mayAccessBucket(caller, bucket)) throw new OrcaError('forbidden', 'Access Denied');
}

export function requireReadAccess(caller: Caller, bucket: string, keyOrPrefix: string): void {
  if (!mayRead(caller, bucket, keyOrPrefix)) throw new OrcaError('forbidden', 'Access Denied');
}

const SERVER = 'OrcaCache';

/** The headers of every response, as name and value in turn. */
export function commonHeaders(requestId: string): readonly string[] {
  return ['x-amz-request-id', requestId, 'x-amz-id-2', requestId, 'Server', SERVER];
}

export function sendXml({ request, response }: EdgeCall, status: number, document: string): EdgeResult {
  // Exactly this type, without a charset: aws-c-s3 compares the whole value.
  response.writeHead(status, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(document) });
  if (request.method === 'HEAD') response.end();
  else response.end(document);
  return { status, cache: 'NONE' };
}
