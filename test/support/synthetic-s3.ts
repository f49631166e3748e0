/**
 * S3 servers without a disk, for loads that exceed any disk: an origin whose objects are derived from their names, and a
 * store that keeps only the metadata of a chunk and compares its bytes with the object.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { chunkPathPrefix } from '#cache/core/chunk.ts';
import { createGate } from './gate.ts';
import { isSynthetic, syntheticBytes, syntheticObject } from './synthetic-content.ts';

export interface SyntheticOrigin extends AsyncDisposable {
  readonly endpoint: string;
  readonly counts: { heads: number; reads: number; bytes: number };
  /** From now on bodies stop after this many bytes; undefined = all bodies continue. */
  stopAfter(bytes: number | undefined): void;
}

export interface SyntheticStore extends AsyncDisposable {
  readonly endpoint: string;
  /** Chunks are known by a hash: those of these objects are accepted, others refused. */
  expect(
    origin: { readonly originId: string; readonly bucket: string },
    keys: readonly string[],
    chunkBytes: number,
  ): void;
  readonly counts: { chunks: number; reads: number; bytesRead: number };
  /** What was wrong with what was to be stored. */
  readonly problems: string[];
}

/** `lineBytesPerSecond` limits all its connections together; default: no limit. */
export async function startSyntheticOrigin(
  options: { readonly lineBytesPerSecond?: number } = {},
): Promise<SyntheticOrigin> {
  const { lineBytesPerSecond } = options;
  const counts = { heads: 0, reads: 0, bytes: 0 };
  let lineFreeMs = 0;
  const paced = async function* (views: Iterable<Uint8Array>, rate: number): AsyncGenerator<Uint8Array> {
    for (const view of views) {
      lineFreeMs = Math.max(lineFreeMs, performance.now()) + (1000 * view.length) / rate;
      const waitMs = lineFreeMs - performance.now();
      if (waitMs > 1) await delay(waitMs);
      yield view;
    }
  };
  let stopAfterBytes = Infinity;
  const gate = createGate();
  const stopping = async function* (views: Iterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let leftBytes = stopAfterBytes;
    for (const view of views) {
      yield view.subarray(0, leftBytes);
      if (view.length > leftBytes) {
        await gate.pass(signal);
        yield view.subarray(leftBytes);
      }
      leftBytes = Math.max(0, leftBytes - view.length);
    }
  };
  const server = await listen((request, response) => {
    const object = syntheticObject(keyOf(request));
    if (object === undefined) {
      refuse(response, 404, 'NoSuchKey');
      return;
    }
    if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== `"${object.etag}"`) {
      refuse(response, 412, 'PreconditionFailed');
      return;
    }
    const headers = { etag: `"${object.etag}"`, 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    if (request.method === 'HEAD') counts.heads++;
    else counts.reads++;
    send(request, response, object.sizeBytes, headers, (from, to) => {
      counts.bytes += to - from;
      const views = syntheticBytes(object.key, from, to);
      if (lineBytesPerSecond !== undefined) return paced(views, lineBytesPerSecond);
      if (stopAfterBytes === Infinity) return views;
      const closing = new AbortController();
      response.once('close', () => closing.abort());
      return stopping(views, closing.signal);
    });
  });
  return {
    ...server,
    counts,
    stopAfter(bytes) {
      stopAfterBytes = bytes ?? Infinity;
      if (bytes === undefined) gate.release();
      else gate.hold();
    },
  };
}

interface Stored {
  readonly headers: Readonly<Record<string, string>>;
  readonly lengthBytes: number;
  readonly bytes: (from: number, to: number) => Iterable<Uint8Array>;
}

export async function startSyntheticStore(): Promise<SyntheticStore> {
  /** The chunks' common path, the key and the sizes of each known object. */
  const known = new Map<string, { readonly key: string; readonly chunkBytes: number }>();
  const stored = new Map<string, Stored>();
  const counts = { chunks: 0, reads: 0, bytesRead: 0 };
  const problems: string[] = [];

  const put = async (path: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-')),
    ) as Record<string, string>;
    const slash = path.lastIndexOf('/') + 1;
    const object = known.get(path.slice(0, slash));
    const start = Number(path.slice(slash)) * (object?.chunkBytes ?? 0);
    const pieces: Buffer[] = [];
    let lengthBytes = 0;
    let isRight = true;
    for await (const piece of request as AsyncIterable<Buffer>) {
      if (object === undefined) pieces.push(piece);
      else isRight &&= isSynthetic(object.key, start + lengthBytes, piece);
      lengthBytes += piece.length;
    }
    if (lengthBytes !== Number(request.headers['content-length'])) return;
    if (object === undefined && !path.startsWith('_orca/')) problems.push(`${path} belongs to no object`);
    if (!isRight) problems.push(`${path} has other bytes than ${object?.key}`);
    if (request.headers['if-none-match'] === '*' && stored.has(path)) {
      refuse(response, 412, 'PreconditionFailed');
      return;
    }
    const small = Buffer.concat(pieces);
    const bytes =
      object === undefined
        ? (from: number, to: number) => [small.subarray(from, to)]
        : (from: number, to: number) => syntheticBytes(object.key, start + from, start + to);
    stored.set(path, { headers, lengthBytes, bytes });
    if (object !== undefined) counts.chunks++;
    response.writeHead(200, { 'content-length': 0, etag: '"-"' }).end();
  };

  const server = await listen((request, response) => {
    const path = keyOf(request);
    if (request.method === 'PUT') {
      put(path, request, response).catch((error: unknown) => response.destroy(error as Error));
      return;
    }
    const chunk = stored.get(path);
    if (chunk === undefined) {
      refuse(response, 404, 'NoSuchKey');
    } else if (request.method === 'DELETE') {
      stored.delete(path);
      response.writeHead(204).end();
    } else {
      if (request.method === 'GET') counts.reads++;
      send(request, response, chunk.lengthBytes, chunk.headers, (from, to) => {
        counts.bytesRead += to - from;
        return chunk.bytes(from, to);
      });
    }
  });
  return {
    ...server,
    counts,
    problems,
    expect({ originId, bucket }, keys, chunkBytes) {
      for (const key of keys) {
        const etag = syntheticObject(key)?.etag ?? '';
        known.set(chunkPathPrefix({ originId, bucket, key, etag }, chunkBytes), { key, chunkBytes });
      }
    },
  };
}

/** Path-style: the path after the bucket. */
function keyOf(request: IncomingMessage): string {
  const { pathname } = new URL(request.url ?? '/', 'http://any');
  return decodeURIComponent(pathname.split('/').slice(2).join('/'));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = `<Error><Code>${code}</Code></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  sizeBytes: number,
  headers: Readonly<Record<string, string>>,
  bytes: (from: number, to: number) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const from = Number(first ?? 0);
  const to = last === undefined ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (from >= sizeBytes) {
    refuse(response, 416, 'InvalidRange');
    return;
  }
  const range = last === undefined ? {} : { 'content-range': `bytes ${from}-${to - 1}/${sizeBytes}` };
  response.writeHead(last === undefined ? 200 : 206, { ...headers, ...range, 'content-length': to - from });
  if (request.method === 'HEAD') response.end();
  else pipeline(Readable.from(bytes(from, to)), response, () => undefined);
}

async function listen(handler: RequestListener): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
