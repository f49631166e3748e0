/** One request of a client and what is known of it when a route takes it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mayEnter, mayRead, type Caller } from '#cache/core/s3/key-ring.ts';
import { OrcaError } from '#cache/core/errors.ts';
import type { Target } from '#cache/core/s3/request-target.ts';
import type { CacheWord } from './object.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly caller: Caller;
  readonly requestId: string;
  /** From the request on. */
  readonly elapsedMs: () => number;
}

/** How it was answered, for the access log and the metrics. */
export interface Answered {
  readonly status: number;
  readonly cache: CacheWord;
}

/** The same refusal whether the bucket exists or not: who may not look learns nothing. */
export function mustEnter(caller: Caller, bucket: string): void {
  if (!mayEnter(caller, bucket)) throw new OrcaError('forbidden', 'Access Denied');
}

export function mustRead(caller: Caller, bucket: string, keyOrPrefix: string): void {
  if (!mayRead(caller, bucket, keyOrPrefix)) throw new OrcaError('forbidden', 'Access Denied');
}

export function sendXml(exchange: Exchange, status: number, document: string): Answered {
  const { request, response } = exchange;
  // Exactly this, without a charset: aws-c-s3 compares the whole value.
  response.writeHead(status, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(document) });
  if (request.method === 'HEAD') response.end();
  else response.end(document);
  return { status, cache: 'NONE' };
}
