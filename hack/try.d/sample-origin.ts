/**
 * An S3 server with the sample files, as slow as one on another continent: lists, GET and HEAD with a range. Reading it
 * twice would take twice as long, which is what a cache is for.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '#cache/core/errors.ts';
import { resolveRange } from '#cache/core/range.ts';
import { bucketsDocument, listDocument } from '#cache/core/s3/list-document.ts';
import { parseListRequest } from '#cache/core/s3/list-request.ts';
import { PageBuilder } from '#cache/core/s3/listing.ts';
import { bytesAt } from '#hack/demo-support/synthetic-bytes.ts';
import { SAMPLE_BUCKET, SAMPLE_OBJECTS, type SampleObject } from './sample-objects.ts';

export interface SampleOrigin extends AsyncDisposable {
  readonly endpoint: string;
}

/** A round trip across an ocean. */
const LATENCY_MS = 80;
/** The rate of each connection. */
const BYTES_PER_SECOND = 25_000_000;
const PIECE_BYTES = 128 * 1024;
const TYPE = { xml: 'application/xml', text: 'text/plain', bytes: 'application/octet-stream' } as const;

export async function startSampleOrigin(): Promise<SampleOrigin> {
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    respond(request, response).catch((error: unknown) => {
      // Destroys the connection, so that a body that was cut does not look complete.
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  await delay(LATENCY_MS);
  const url = new URL(request.url ?? '/', 'http://origin');
  const [, bucket = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
  const key = rest.join('/');
  if (request.method !== 'GET' && request.method !== 'HEAD') return sendError(response, 405, 'MethodNotAllowed');
  if (bucket === '')
    return sendXml(response, 200, bucketsDocument([], { prefix: '', region: '', nextToken: undefined }));
  if (bucket !== SAMPLE_BUCKET) return sendError(response, 404, 'NoSuchBucket');
  if (key === '') return sendList(response, new Map(url.searchParams));
  const object = SAMPLE_OBJECTS.find((candidate) => candidate.key === key);
  if (object === undefined) return sendError(response, 404, 'NoSuchKey');
  return sendObject(request, response, object);
}

function sendList(response: ServerResponse, query: ReadonlyMap<string, string>): void {
  try {
    const request = parseListRequest(SAMPLE_BUCKET, query, undefined);
    const page = new PageBuilder(request);
    for (const object of SAMPLE_OBJECTS) if (!page.add(object)) break;
    sendXml(response, 200, listDocument(request, page.page()));
  } catch (error) {
    if (!hasCode(error, 'invalid_argument')) throw error;
    sendError(response, 400, 'InvalidArgument');
  }
}

async function sendObject(request: IncomingMessage, response: ServerResponse, object: SampleObject): Promise<void> {
  const { etag, sizeBytes, lastModifiedMs, text } = object;
  const { range: header, 'if-match': wanted } = request.headers;
  if (wanted !== undefined && wanted !== `"${etag}"`) return sendError(response, 412, 'PreconditionFailed');
  const range = resolveRange(header, sizeBytes);
  if (range.kind === 'unsatisfiable') return sendError(response, 416, 'InvalidRange');
  const { from, to } = range.kind === 'part' ? range.range : { from: 0, to: sizeBytes };
  response.writeHead(range.kind === 'part' ? 206 : 200, {
    etag: `"${etag}"`,
    'last-modified': new Date(lastModifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
    'content-type': text === undefined ? TYPE.bytes : TYPE.text,
    'content-length': to - from,
    ...(range.kind === 'part' && { 'content-range': `bytes ${from}-${to - 1}/${sizeBytes}` }),
  });
  if (request.method === 'HEAD') response.end();
  else if (text === undefined) await sendPaced(response, etag, from, to);
  else response.end(Buffer.from(text).subarray(from, to));
}

async function sendPaced(response: ServerResponse, etag: string, from: number, to: number): Promise<void> {
  const startedMs = performance.now();
  for (let at = from; at < to && !response.destroyed;) {
    const piece = bytesAt(etag, at, Math.min(PIECE_BYTES, to - at));
    at += piece.length;
    response.write(piece);
    // The pace is below what loopback takes: what is written does not pile up.
    const aheadMs = ((at - from) / BYTES_PER_SECOND) * 1000 - (performance.now() - startedMs);
    if (aheadMs > 1) await delay(aheadMs);
  }
  response.end();
}

function sendXml(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': TYPE.xml, 'content-length': Buffer.byteLength(body) }).end(body);
}

function sendError(response: ServerResponse, status: number, code: string): void {
  sendXml(
    response,
    status,
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`,
  );
}
