/**
 * A reverse proxy in front of an S3 server that counts requests and changes nothing: target, headers, their spelling and
 * Host are forwarded unchanged, so that signatures stay valid. Its numbers are an independent check of a cache's metrics.
 * It imports no other module, because it is copied into an image.
 *
 *   node counting-proxy.ts --upstream http://127.0.0.1:7070 [--listen 0.0.0.0:7071] [--admin 0.0.0.0:7072]
 *     [--latency-ms 20]
 *
 * The latency is that of a distant upstream: each request is forwarded later by that time.
 *
 * On the admin port: `GET /_stats`, `POST /_reset`, `GET /_health`.
 */
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { parseArgs } from 'node:util';

/** Counters of one operation, such as `GET object range`. */
export interface OperationStats {
  /** Requests received. */
  requests: number;
  /** Requests with a 2xx response. */
  succeeded: number;
  /** Body bytes of those responses that were forwarded. */
  bodyBytes: number;
}

export interface ProxyStats {
  /** Requests whose response has not ended: the numbers are final when it is 0. */
  readonly inFlight: number;
  readonly total: OperationStats;
  readonly operations: Readonly<Record<string, OperationStats>>;
  /** Requests without a response of the upstream, or with a truncated one. */
  readonly failedResponses: number;
}

export interface CountingProxy extends AsyncDisposable {
  readonly port: number;
  readonly adminPort: number;
  stats(): ProxyStats;
  reset(): void;
}

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
}

/** Shorter than the idle timeout of the upstream, so that no request uses a connection that it is closing. */
const UPSTREAM_IDLE_MS = 2_000;
/** Longer than clients keep idle connections, so that the clients close them. */
const CLIENT_IDLE_MS = 120_000;
/** Closes connections of clients that vanished without closing them, such as pods on a disconnected node. */
const CLIENT_SILENCE_MS = 30_000;

/** Headers of a single connection, which are not forwarded. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

export async function startCountingProxy(
  upstream: URL,
  listen: ProxyAddress,
  admin: ProxyAddress,
  latencyMs = 0,
): Promise<CountingProxy> {
  const agent = new Agent({ keepAlive: true, timeout: UPSTREAM_IDLE_MS, scheduling: 'lifo' });
  const counters = new Counters();
  const forwarder = new Forwarder(upstream, agent, counters, latencyMs);
  // No timeout for requests, because a body may take any time; only its head has a deadline.
  const proxy = createServer({ keepAliveTimeout: CLIENT_IDLE_MS, requestTimeout: 0 }, (incoming, outgoing) =>
    forwarder.forward(incoming, outgoing),
  );
  const administration = createServer((incoming, outgoing) => administer(counters, upstream, incoming, outgoing));
  await Promise.all([listenOn(proxy, listen), listenOn(administration, admin)]);
  return {
    port: portOf(proxy),
    adminPort: portOf(administration),
    stats: () => counters.stats(),
    reset: () => counters.reset(),
    async [Symbol.asyncDispose]() {
      await Promise.all([closeServer(proxy), closeServer(administration)]);
      agent.destroy();
    },
  };
}

class Counters {
  inFlight = 0;
  failedResponses = 0;
  #operations = new Map<string, OperationStats>();

  operation(message: IncomingMessage): OperationStats {
    const name = operationOf(message);
    const counts = this.#operations.get(name) ?? { requests: 0, succeeded: 0, bodyBytes: 0 };
    this.#operations.set(name, counts);
    return counts;
  }

  stats(): ProxyStats {
    const total: OperationStats = { requests: 0, succeeded: 0, bodyBytes: 0 };
    for (const { requests, succeeded, bodyBytes } of this.#operations.values()) {
      total.requests += requests;
      total.succeeded += succeeded;
      total.bodyBytes += bodyBytes;
    }
    return {
      inFlight: this.inFlight,
      total,
      operations: Object.fromEntries([...this.#operations].toSorted(([a], [b]) => a.localeCompare(b))),
      failedResponses: this.failedResponses,
    };
  }

  reset(): void {
    this.#operations = new Map();
    this.failedResponses = 0;
  }
}

class Forwarder {
  readonly #upstream: URL;
  readonly #agent: Agent;
  readonly #counters: Counters;
  readonly #latencyMs: number;

  constructor(upstream: URL, agent: Agent, counters: Counters, latencyMs: number) {
    this.#upstream = upstream;
    this.#agent = agent;
    this.#counters = counters;
    this.#latencyMs = latencyMs;
  }

  forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const counts = this.#counters.operation(incoming);
    counts.requests += 1;
    this.#counters.inFlight += 1;
    outgoing.once('close', () => (this.#counters.inFlight -= 1));
    outgoing.setTimeout(CLIENT_SILENCE_MS, () => outgoing.destroy());
    outgoing.sendDate = false;
    const send = (): void => {
      if (!outgoing.destroyed) this.#send(incoming, outgoing, counts, false);
    };
    if (this.#latencyMs > 0) setTimeout(send, this.#latencyMs);
    else send();
  }

  #send(incoming: IncomingMessage, outgoing: ServerResponse, counts: OperationStats, isRetry: boolean): void {
    const hasBody = bodyIn(incoming) !== 'none';
    const upstreamRequest = request({
      agent: this.#agent,
      host: this.#upstream.hostname,
      port: this.#upstream.port === '' ? 80 : Number(this.#upstream.port),
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: forwardedHeaders(incoming),
      setHost: false,
    });
    upstreamRequest.once('response', (response) => this.#respond(response, outgoing, counts));
    upstreamRequest.once('error', (error) => {
      if (outgoing.headersSent || outgoing.destroyed) return;
      // The upstream closed the idle connection before it received the request: a retry is safe.
      if (upstreamRequest.reusedSocket && !hasBody && !isRetry) {
        this.#send(incoming, outgoing, counts, true);
        return;
      }
      this.#counters.failedResponses += 1;
      outgoing.writeHead(502, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
    });
    // The client disconnected before the response; after that, the pipeline ends both sides.
    outgoing.once('close', () => {
      if (!outgoing.headersSent) upstreamRequest.destroy();
    });
    if (hasBody) incoming.pipe(upstreamRequest);
    else upstreamRequest.end();
  }

  #respond(response: IncomingMessage, outgoing: ServerResponse, counts: OperationStats): void {
    const status = response.statusCode ?? 502;
    outgoing.writeHead(status, response.statusMessage, endToEndHeaders(response.rawHeaders));
    if (status >= 200 && status < 300) {
      counts.succeeded += 1;
      response.on('data', (piece: Buffer) => (counts.bodyBytes += piece.length));
    }
    // If the client disconnects first, its side is already destroyed.
    response.once('error', () => {
      if (!outgoing.destroyed) this.#counters.failedResponses += 1;
    });
    // After a truncated body the pipeline destroys the client's connection, so that it does not look complete.
    pipeline(response, outgoing, () => {
      // The pipeline has ended both sides.
    });
  }
}

function administer(counters: Counters, upstream: URL, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const respond = (status: number, body: unknown): void => {
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
  };
  const route = `${incoming.method} ${incoming.url}`;
  if (route === 'GET /_stats') respond(200, counters.stats());
  else if (route === 'GET /_health') respond(200, { upstream: upstream.href });
  else if (route === 'POST /_reset') {
    const before = counters.stats();
    counters.reset();
    respond(200, before);
  } else respond(404, { error: 'unknown route: expected GET /_stats, GET /_health or POST /_reset' });
}

/** Such as `GET object range`: method, kind of resource in the path (path style), and whether there is a Range header. */
function operationOf({ method, url = '/', headers }: IncomingMessage): string {
  const path = url.replace(/\?.*$/s, '');
  const [, bucket = '', ...key] = path.split('/');
  const target = bucket === '' ? 'service' : key.join('/') === '' ? 'bucket' : 'object';
  return `${method} ${target}${headers.range === undefined ? '' : ' range'}`;
}

function bodyIn({ headers }: IncomingMessage): 'none' | 'chunked' | 'sized' {
  if (headers['transfer-encoding'] !== undefined) return 'chunked';
  return headers['content-length'] === undefined || headers['content-length'] === '0' ? 'none' : 'sized';
}

/** Adds `Content-Length: 0` to an empty upload without it; otherwise Node.js would use chunked encoding. */
function forwardedHeaders(incoming: IncomingMessage): string[] {
  const kept = endToEndHeaders(incoming.rawHeaders);
  if (bodyIn(incoming) === 'chunked') return [...kept, 'Transfer-Encoding', 'chunked'];
  const lacksLength = incoming.headers['content-length'] === undefined;
  return lacksLength && !['GET', 'HEAD', 'DELETE'].includes(incoming.method ?? '')
    ? [...kept, 'Content-Length', '0']
    : kept;
}

/** Names and values, in order and unchanged, without hop-by-hop headers. */
function endToEndHeaders(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, rawHeaders[index + 1] ?? '');
  }
  return kept;
}

async function listenOn(server: Server, { host, port }: ProxyAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}

function parseAddress(text: string): ProxyAddress {
  const url = new URL(`http://${text}`);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? 80 : Number(url.port) };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      upstream: { type: 'string' },
      listen: { type: 'string', default: '0.0.0.0:7071' },
      admin: { type: 'string', default: '0.0.0.0:7072' },
      'latency-ms': { type: 'string', default: '0' },
    },
  });
  if (values.upstream === undefined) throw new Error('--upstream is required, such as http://host:port');
  const proxy = await startCountingProxy(
    new URL(values.upstream),
    parseAddress(values.listen),
    parseAddress(values.admin),
    Number(values['latency-ms']),
  );
  console.log(`proxy for ${values.upstream} on port ${proxy.port}, statistics on port ${proxy.adminPort}/_stats`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void proxy[Symbol.asyncDispose]();
    });
}
