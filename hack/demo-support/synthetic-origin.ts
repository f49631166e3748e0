/**
 * An S3 origin without a disk: `GET` and `HEAD` of `/bucket/<anything>-<bytes>`, ranges, If-Match, strong ETags; any other
 * key does not exist. Signatures are not looked at. It can be as slow as an origin that is far away.
 *
 *   node synthetic-origin.ts [--listen 0.0.0.0:7070] [--latency-ms 20] [--bytes-per-second 8000000]
 *
 * The rate is each connection's own, as it is with real origins.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bytesAt, etagOf, sizeOf } from './synthetic-bytes.ts';

export interface SyntheticOriginOptions {
  readonly host?: string;
  readonly port?: number;
  /** Before each answer. */
  readonly latencyMs?: number;
  /** Of one answer; undefined = as fast as it goes. */
  readonly bytesPerSecond?: number | undefined;
}

export interface SyntheticOrigin extends AsyncDisposable {
  /** `http://host:port`. */
  readonly endpoint: string;
  /** From now on the key has another ETag and other bytes. */
  change(bucket: string, key: string): void;
}

/** Longer than caches keep idle connections, so that they are the ones to close them. */
const IDLE_MS = 120_000;
/** A write this large is one piece of work for the event loop; with a rate, a smaller one keeps the flow even. */
const PIECE_BYTES = 1024 * 1024;
const PACED_PIECE_BYTES = 128 * 1024;
/** All objects have been there for long. */
const LAST_MODIFIED = new Date(Date.UTC(2026, 0, 1)).toUTCString();

export async function startSyntheticOrigin(options: SyntheticOriginOptions = {}): Promise<SyntheticOrigin> {
  const { host = '127.0.0.1', port = 0, latencyMs = 0, bytesPerSecond } = options;
  const generations = new Map<string, number>();

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (latencyMs > 0) await delay(latencyMs);
    const { pathname } = new URL(incoming.url ?? '/', 'http://origin');
    const [, bucket = '', ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const sizeBytes = sizeOf(key);
    const isHead = incoming.method === 'HEAD';
    if (!isHead && incoming.method !== 'GET') return refuse(outgoing, 405, 'MethodNotAllowed');
    if (sizeBytes === undefined) return refuse(outgoing, 404, 'NoSuchKey');
    const etag = etagOf(bucket, key, generations.get(`${bucket}/${key}`));
    const { 'if-match': wanted, range: asked } = incoming.headers;
    if (wanted !== undefined && wanted !== `"${etag}"`) return refuse(outgoing, 412, 'PreconditionFailed');
    const range = rangeOf(asked, sizeBytes);
    if (range === undefined) return refuse(outgoing, 416, 'InvalidRange');
    outgoing.writeHead(asked === undefined ? 200 : 206, {
      etag: `"${etag}"`,
      'last-modified': LAST_MODIFIED,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-length': range.to - range.from,
      ...(asked !== undefined && { 'content-range': `bytes ${range.from}-${range.to - 1}/${sizeBytes}` }),
    });
    if (isHead) outgoing.end();
    else await send(outgoing, etag, range, bytesPerSecond);
  }

  const server = createServer({ keepAliveTimeout: IDLE_MS, requestTimeout: 0 }, (incoming, outgoing) => {
    answer(incoming, outgoing).catch((error: unknown) => {
      // Whatever it was, a body that is not whole must not look whole.
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
  /** Excluded. */
  readonly to: number;
}

/** Undefined where it can't be satisfied. */
function rangeOf(asked: string | undefined, sizeBytes: number): Range | undefined {
  if (asked === undefined) return { from: 0, to: sizeBytes };
  const [, first, last = ''] = /^bytes=(\d+)-(\d*)$/.exec(asked) ?? [];
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
  const gone = Promise.withResolvers<void>();
  outgoing.once('close', gone.resolve);
  for (let at = from; at < to && !outgoing.destroyed;) {
    const piece = bytesAt(etag, at, Math.min(pieceBytes, to - at));
    at += piece.length;
    if (!outgoing.write(piece)) await Promise.race([drained(outgoing), gone.promise]);
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

function refuse(outgoing: ServerResponse, status: number, code: string): void {
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
  console.log(`objects by name at ${origin.endpoint}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void origin[Symbol.asyncDispose]();
    });
}
