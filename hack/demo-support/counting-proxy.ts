/**
 * A reverse proxy in front of an S3 server that changes nothing and counts: the raw target, the headers and their
 * spelling, and Host go through as they came, so that signatures stay valid. What it counts is the second opinion on
 * what a cache says it fetched. Stands alone, because it is copied into an image by itself.
 *
 *   node counting-proxy.ts --upstream http://127.0.0.1:7070 [--listen 0.0.0.0:7071] [--admin 0.0.0.0:7072]
 *
 * On the admin port: `GET /_stats`, `POST /_reset`, `GET /_health`.
 */
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { parseArgs } from 'node:util';

/** `GET object range` and the like → what came of them. */
export interface OperationStats {
  /** Requests that arrived. */
  requests: number;
  /** Of those, answered with 2xx. */
  succeeded: number;
  /** Bytes of those answers' bodies that were passed on. */
  bodyBytes: number;
}

export interface ProxyStats {
  /** Requests whose answer has not ended yet: the numbers are final when it is 0. */
  readonly inFlight: number;
  readonly total: OperationStats;
  readonly operations: Readonly<Record<string, OperationStats>>;
  /** Requests that the upstream gave no answer to, or whose answer broke off. */
  readonly brokenAnswers: number;
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

/** An idle connection may not be reused at the moment the upstream ends it: end it first. */
const UPSTREAM_IDLE_MS = 2_000;
/** Longer than clients keep idle connections, so that they are the ones to close them. */
const CLIENT_IDLE_MS = 120_000;
/** A client whose node was cut off, and which was evicted then, never says that it is gone. */
const CLIENT_SILENCE_MS = 30_000;

/** Of one connection only: they must not pass. `connection` and its kin are ours to say on each side. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

export async function startCountingProxy(
  upstream: URL,
  listen: ProxyAddress,
  admin: ProxyAddress,
): Promise<CountingProxy> {
  const agent = new Agent({ keepAlive: true, timeout: UPSTREAM_IDLE_MS, scheduling: 'lifo' });
  let operations = new Map<string, OperationStats>();
  let inFlight = 0;
  let brokenAnswers = 0;

  function operation(message: IncomingMessage): OperationStats {
    const kind = operationOf(message);
    const known = operations.get(kind) ?? { requests: 0, succeeded: 0, bodyBytes: 0 };
    operations.set(kind, known);
    return known;
  }

  function pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const counts = operation(incoming);
    counts.requests += 1;
    inFlight += 1;
    outgoing.once('close', () => (inFlight -= 1));
    outgoing.setTimeout(CLIENT_SILENCE_MS, () => outgoing.destroy());
    outgoing.sendDate = false;
    const hasBody = bodyIn(incoming) !== 'none';

    function send(isRetry: boolean): void {
      const onward = request({
        agent,
        host: upstream.hostname,
        port: upstream.port === '' ? 80 : Number(upstream.port),
        method: incoming.method ?? 'GET',
        path: incoming.url ?? '/',
        headers: onwardHeaders(incoming),
        setHost: false,
      });
      onward.once('response', (answer) => giveBack(answer, outgoing, counts));
      onward.once('error', (error) => {
        if (outgoing.headersSent || outgoing.destroyed) return;
        // The upstream closed an idle connection just when it was taken: it has not seen the request.
        if (onward.reusedSocket && !hasBody && !isRetry) {
          send(true);
          return;
        }
        brokenAnswers += 1;
        outgoing.writeHead(502, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
      });
      // The client left before there was an answer; later on, the pipeline ends both.
      outgoing.once('close', () => {
        if (!outgoing.headersSent) onward.destroy();
      });
      if (hasBody) incoming.pipe(onward);
      else onward.end();
    }
    send(false);
  }

  function giveBack(answer: IncomingMessage, outgoing: ServerResponse, counts: OperationStats): void {
    const status = answer.statusCode ?? 502;
    outgoing.writeHead(status, answer.statusMessage, endToEnd(answer.rawHeaders));
    if (status >= 200 && status < 300) {
      counts.succeeded += 1;
      answer.on('data', (piece: Buffer) => (counts.bodyBytes += piece.length));
    }
    // When the client leaves first, its side is the one that is destroyed already.
    answer.once('error', () => {
      if (!outgoing.destroyed) brokenAnswers += 1;
    });
    // A body that breaks off breaks the client's connection too: it must never look complete.
    pipeline(answer, outgoing, () => {
      // Nothing more to do: pipeline has ended both sides.
    });
  }

  function stats(): ProxyStats {
    const total: OperationStats = { requests: 0, succeeded: 0, bodyBytes: 0 };
    for (const { requests, succeeded, bodyBytes } of operations.values()) {
      total.requests += requests;
      total.succeeded += succeeded;
      total.bodyBytes += bodyBytes;
    }
    return {
      inFlight,
      total,
      operations: Object.fromEntries([...operations].toSorted(([a], [b]) => a.localeCompare(b))),
      brokenAnswers,
    };
  }

  function reset(): void {
    operations = new Map();
    brokenAnswers = 0;
  }

  function administer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const answer = (status: number, body: unknown): void => {
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    };
    const route = `${incoming.method} ${incoming.url}`;
    if (route === 'GET /_stats') answer(200, stats());
    else if (route === 'GET /_health') answer(200, { upstream: upstream.href });
    else if (route === 'POST /_reset') {
      const before = stats();
      reset();
      answer(200, before);
    } else answer(404, { error: 'GET /_stats, GET /_health or POST /_reset' });
  }

  // Bodies of any duration may pass: only the head of a request must come in time.
  const proxy = createServer({ keepAliveTimeout: CLIENT_IDLE_MS, requestTimeout: 0 }, pass);
  const administration = createServer(administer);
  await Promise.all([listenOn(proxy, listen), listenOn(administration, admin)]);
  return {
    port: portOf(proxy),
    adminPort: portOf(administration),
    stats,
    reset,
    async [Symbol.asyncDispose]() {
      await Promise.all([closeServer(proxy), closeServer(administration)]);
      agent.destroy();
    },
  };
}

/** `GET object range`: method, what the path names (path style), and whether a part is asked for. */
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

/** The length is said where the client left it out: Node would send an empty PUT in chunks otherwise. */
function onwardHeaders(incoming: IncomingMessage): string[] {
  const kept = endToEnd(incoming.rawHeaders);
  if (bodyIn(incoming) === 'chunked') return [...kept, 'Transfer-Encoding', 'chunked'];
  const isBare = incoming.headers['content-length'] === undefined;
  return isBare && !['GET', 'HEAD', 'DELETE'].includes(incoming.method ?? '') ? [...kept, 'Content-Length', '0'] : kept;
}

/** Names and values as they came, in their order, without those of the connection. */
function endToEnd(rawHeaders: readonly string[]): string[] {
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
    },
  });
  if (values.upstream === undefined) throw new Error('--upstream http://host:port is missing');
  const proxy = await startCountingProxy(
    new URL(values.upstream),
    parseAddress(values.listen),
    parseAddress(values.admin),
  );
  console.log(
    `counting what goes to ${values.upstream}: port ${proxy.port}, numbers at port ${proxy.adminPort}/_stats`,
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      void proxy[Symbol.asyncDispose]();
    });
}
