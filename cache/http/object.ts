/** GET and HEAD of an object: the engine's answer as an S3 response, bytes written straight to Node's response. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { contentRange } from '#cache/core/range.ts';
import { rangeLength } from '#cache/core/object.ts';
import type { Target } from '#cache/core/target.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { Source } from '#cache/engine/piece.ts';
import type { ReadResult } from '#cache/engine/read.ts';
import { ownSocket, sendBody } from './send-body.ts';

/** What a client can ask us to hand it back as, and we pass through untouched; everything else is ours to say. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

export type CacheWord = 'HIT' | 'MISS' | 'STALE' | 'NONE';

export interface ObjectExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly requestId: string;
  /** Say how the answer is made up. */
  readonly explain: boolean;
  readonly signal: AbortSignal;
}

export interface ObjectObserver {
  served(source: Source, lengthBytes: number): void;
  firstByte(): void;
}

/** Resolves with how it was answered, for the access log and the metrics; rejects for `respondError`. */
export async function serveObject(
  engine: Engine,
  exchange: ObjectExchange,
  observer: ObjectObserver,
): Promise<{ readonly status: number; readonly cache: CacheWord }> {
  const { request, response, target, requestId, signal } = exchange;
  const socket = await ownSocket(response, signal);
  const { headers } = request;
  const headOnly = request.method === 'HEAD';
  const result = await engine.read({
    bucket: target.bucket,
    key: target.key,
    range: headers.range,
    conditions: {
      ifMatch: headers['if-match'],
      ifNoneMatch: headers['if-none-match'],
      ifModifiedSince: headers['if-modified-since'],
      ifUnmodifiedSince: headers['if-unmodified-since'],
      ifRange: single(headers['if-range']),
    },
    headOnly,
    requestId,
    signal,
  });
  const cache = cacheWord(result);
  const explained = exchange.explain ? { 'X-Orca-Explain': engine.explain(result) } : {};
  response.writeHead(result.status, { ...objectHeaders(result, cache), ...explained });
  observer.firstByte();
  if (result.source === undefined) {
    response.end();
    return { status: result.status, cache };
  }
  await sendBody(response, socket, result.body, rangeLength(result.range), (source, lengthBytes) =>
    observer.served(source, lengthBytes),
  );
  return { status: result.status, cache };
}

function objectHeaders(result: ReadResult, cache: CacheWord): Record<string, string | number> {
  const { head, status, range } = result;
  const common: Record<string, string | number> = {
    ...head.headers,
    ETag: `"${head.etag}"`,
    'Last-Modified': new Date(head.lastModifiedMs).toUTCString(),
    'Accept-Ranges': 'bytes',
    Age: Math.floor(result.ageMs / 1000),
  };
  if (cache !== 'NONE') common['X-Cache'] = cache;
  // RFC 9110 §15.4.5: a 304 repeats the validators and nothing that describes a body it has not got.
  if (status === 304) return pick(common, NOT_MODIFIED_HEADERS);
  common['content-type'] ??= DEFAULT_CONTENT_TYPE;
  common['Content-Length'] = rangeLength(range);
  if (status === 206) common['Content-Range'] = contentRange(range, head.sizeBytes);
  return common;
}

const NOT_MODIFIED_HEADERS = ['ETag', 'Last-Modified', 'cache-control', 'expires', 'Age'];

function pick<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)));
}

/** Bytes that were here before this request are a hit; what the origin had to send for it is a miss. */
function cacheWord({ source, stale }: ReadResult): CacheWord {
  if (stale) return 'STALE';
  if (source === undefined) return 'NONE';
  return source === 'memory' || source === 'store' ? 'HIT' : 'MISS';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
