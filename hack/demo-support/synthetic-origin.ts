/**
 * A synthetic S3 origin: `GET` and `HEAD` of `/bucket/<anything>-<bytes>` with ranges, If-Match and strong ETags; other
 * keys do not exist. It does not verify signatures. Latency and rate can be those of a distant origin.
 *
 *   node synthetic-origin.ts [--listen 0.0.0.0:7070] [--latency-ms 20] [--bytes-per-second 8000000]
 *
 * The rate applies to each connection, like the throughput of real origins.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bytesAt, etagOf, sizeOf } from './synthetic-bytes.ts';

export interface SyntheticOriginOptions {
  readonly host?: string;
  readonly port?: number;
  /** Delay before each response. */
  readonly latencyMs?: number;
  /** Rate of each response; undefined = not limited. */
  readonly bytesPerSecond?: number | undefined;
}

export interface SyntheticOrigin extends AsyncDisposable {
  /** `http://host:port`. */
  readonly endpoint: string;
  /** Gives the key another ETag and other bytes. */
  change(bucket: string, key: string): void;
}

/** Longer than caches keep idle connections, so that the caches close them. */
const IDLE_MS = 120_000;
/** Size of a write; a smaller one with a rate keeps the throughput even. */
const PIECE_BYTES = 1024 * 1024;
const PACED_PIECE_BYTES = 128 * 1024;
/** A constant time in the past for all objects. */
const LAST_MODIFIED = new Date(Date.UTC(2026, 0, 1)).toUTCString();

export async function startSyntheticOrigin(options: SyntheticOriginOptions = {}): Promise<SyntheticOrigin> {
  const { host = '127.0.0.1', port = 0, latencyMs = 0, bytesPerSecond } = options;
  const generations = new Map<string, number>();

  async function respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (latencyMs > 0) await delay(latencyMs);
    const { pathname } = new URL(incoming.url ?? '/', 'http://origin');
    const [, bucket = '', ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const sizeBytes = sizeOf(key);
    const isHead = incoming.method === 'HEAD';
    if (!isHead && incoming.method !== 'GET') return sendError(outgoing, 405, 'MethodNotAllowed');
    if (sizeBytes === undefined) return sendError(outgoing, 404, 'NoSuchKey');
    const etag = etagOf(bucket, key, generations.get(`${bucket}/${key}`));
    const { 'if-match': wanted, range: rangeHeader } = incoming.headers;
    if (wanted !== undefined && wanted !== `"${etag}"`) return sendError(outgoing, 412, 'PreconditionFailed');
    const range = rangeOf(rangeHeader, sizeBytes);
    if (range === undefined) return sendError(outgoing, 416, 'InvalidRange');
    outgoing.writeHead(rangeHeader === undefined ? 200 : 206, {
      etag: `"${etag}"`,
      'last-modified': LAST_MODIFIED,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-length': range.to - range.from,
      ...(rangeHeader !== undefined && { 'content-range': `bytes ${range.from}-${range.to - 1}/${sizeBytes}` }),
    });
    if (isHead) outgoing.end();
    else await send(outgoing, etag, range, bytesPerSecond);
  }

  const server = createServer({ keepAliveTimeout: IDLE_MS, requestTimeout: 0 }, (incoming, outgoing) => {
    respond(incoming, outgoing).catch((error: unknown) => {
      // Destroys the connection, so that a truncated body does not look complete.
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  return {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    change(bucket, key) {
      const name = `${bucket}/${key}`;
      generations.set(name, (generations.get(name) ?? 0) + 1);
    },
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** Undefined if it is not satisfiable. */
function rangeOf(header: string | undefined, sizeBytes: number): Range | undefined {
  if (header === undefined) return { from: 0, to: sizeBytes };
  const [, first, last = ''] = /^bytes=(\d+)-(\d*)$/.exec(header) ?? [];
  const from = Number(first);
  const to = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return first === undefined || from >= to ? undefined : { from, to };
}

async function send(
  outgoing: ServerResponse,
  etag: string,
  { from, to }: Range,
  bytesPerSecond: number | undefined,
): Promise<void> {
  const pieceBytes = bytesPerSecond === undefined ? PIECE_BYTES : PACED_PIECE_BYTES;
  const startedMs = performance.now();
  const closed = Promise.withResolvers<void>();
  outgoing.once('close', closed.resolve);
  for (let at = from; at < to && !outgoing.destroyed;) {
    const piece = bytesAt(etag, at, Math.min(pieceBytes, to - at));
    at += piece.length;
    if (!outgoing.write(piece)) await Promise.race([drained(outgoing), closed.promise]);
    if (bytesPerSecond === undefined) continue;
    const aheadMs = ((at - from) / bytesPerSecond) * 1000 - (performance.now() - startedMs);
    if (aheadMs > 1) await delay(aheadMs);
  }
  outgoing.end();
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('drain', () => resolve());
  });
}

function sendError(outgoing: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  outgoing.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', default: '0.0.0.0:7070' },
      'latency-ms': { type: 'string', default: '0' },
      'bytes-per-second': { type: 'string' },
    },
  });
  const { hostname, port } = new URL(`http://${values.listen}`);
  const origin = await startSyntheticOrigin({
    host: hostname,
    port: Number(port),
    latencyMs: Number(values['latency-ms']),
    bytesPerSecond: values['bytes-per-second'] === undefined ? undefined : Number(values['bytes-per-second']),
  });
  console.log(`synthetic origin at ${origin.endpoint}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void origin[Symbol.asyncDispose]();
    });
}
