/**
 * An HTTP proxy on loopback between replicas and an S3 server. It counts requests and bytes and, on request, injects the
 * faults of networks and servers. All other bytes pass unchanged, so that signatures stay valid.
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import type { Gate } from './gate.ts';
import { until } from './until.ts';

/** One request and its outcome, in the order of arrival. */
export interface Passed {
  readonly method: string;
  /** The raw request target. */
  readonly target: string;
  readonly range: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly traceparent: string | undefined;
  status: number;
  /** Body bytes of the answer that were passed on. */
  bodyBytes: number;
}

export type Action =
  /** The connection breaks after this many bytes of the response's body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The answer ends cleanly too soon: it announces the short length, or none and closes. */
  | { readonly kind: 'shorten'; readonly toBytes: number; readonly framing: 'length' | 'close' | 'chunked' }
  /** This many bytes of the response's body, then silence until the gate opens; with 0, no response until then. */
  | { readonly kind: 'stall'; readonly afterBytes: number; readonly gate: Gate }
  /** Another status or other headers, the body as it came; undefined = without that header. */
  | {
      readonly kind: 'rewrite';
      readonly status?: number;
      readonly headers: Readonly<Record<string, string | undefined>>;
    }
  /** This, whatever the server would say. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Uint8Array | string;
    }
  /** Both connections break after this many bytes of the request's body. */
  | { readonly kind: 'cut-upload'; readonly afterBytes: number };

export interface Fault {
  readonly action: Action;
  readonly when?: (request: Passed) => boolean;
  /** The number of requests that it affects; default: all. */
  readonly times?: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly endpoint: string;
  readonly passed: readonly Passed[];
  /** The number of requests that a fault has affected. */
  readonly hits: number;
  inject(fault: Fault): void;
  /** Removes all faults and sets all counts to zero. */
  reset(): void;
  /** The requests of one method, without probes; waits for responses in progress. */
  counts(method: string): Promise<{ readonly requests: number; readonly bodyBytes: number }>;
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(upstream);
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  let passed: Passed[] = [];
  let faults: { readonly fault: Fault; left: number }[] = [];
  let hits = 0;
  let inFlight = 0;

  const actionFor = (record: Passed): Action | undefined => {
    // Probes are sent at unknown times: they must not use up a fault that is meant for certain requests.
    const isFor = ({ when, times }: Fault): boolean =>
      isProbe(record) ? when === undefined && times === undefined : (when?.(record) ?? true);
    const entry = faults.find(({ fault, left }) => left > 0 && isFor(fault));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    hits += 1;
    return entry.fault.action;
  };

  const server = createServer((incoming, outgoing) => {
    const record: Passed = {
      method: incoming.method ?? '',
      target: incoming.url ?? '',
      range: incoming.headers.range,
      ifNoneMatch: incoming.headers['if-none-match'],
      traceparent: incoming.headers['traceparent']?.toString(),
      status: 0,
      bodyBytes: 0,
    };
    passed.push(record);
    inFlight += 1;
    outgoing.once('close', () => (inFlight -= 1));
    outgoing.sendDate = false;
    const action = actionFor(record);
    if (action?.kind === 'answer') {
      incoming.resume();
      const body = Buffer.from((action.body ?? '') as string);
      record.status = action.status;
      record.bodyBytes = incoming.method === 'HEAD' ? 0 : body.length;
      outgoing.writeHead(action.status, { 'content-length': body.length, ...action.headers }).end(body);
      return;
    }
    if (action?.kind === 'stall' && action.afterBytes === 0) {
      gateOrClose(action.gate, outgoing).then(
        () => forward(incoming, outgoing, record, undefined),
        () => outgoing.destroy(),
      );
      return;
    }
    forward(incoming, outgoing, record, action);
  });

  function forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    record: Passed,
    action: Action | undefined,
  ): void {
    const headers: string[] = [];
    for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
      const [name = '', value = ''] = incoming.rawHeaders.slice(at, at + 2);
      if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, value);
    }
    const onward = httpRequest({
      agent,
      host: hostname,
      port,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers,
      setHost: false,
    });
    onward.once('response', (answer) => giveBack(answer, outgoing, record, action));
    // The server is down: for the client this proxy is down too.
    onward.once('error', () => outgoing.destroy());
    outgoing.once('close', () => onward.destroy());
    if (action?.kind === 'cut-upload') {
      let sent = 0;
      incoming.on('data', (piece: Buffer) => {
        const part = piece.subarray(0, action.afterBytes - sent);
        sent += part.length;
        if (sent < action.afterBytes) onward.write(part);
        else {
          incoming.pause();
          // What was sent so far has left this process when the callback comes.
          onward.write(part, () => {
            onward.destroy();
            outgoing.destroy();
          });
        }
      });
    } else pipeline(incoming, onward, () => undefined);
  }

  function giveBack(
    answer: IncomingMessage,
    outgoing: ServerResponse,
    record: Passed,
    action: Action | undefined,
  ): void {
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined && !HOP_BY_HOP.has(name)) headers[name] = value;
    record.status = answer.statusCode ?? 0;
    if (action?.kind === 'rewrite') {
      record.status = action.status ?? record.status;
      for (const [name, value] of Object.entries(action.headers)) {
        if (value === undefined) delete headers[name];
        else headers[name] = value;
      }
    }
    if (action?.kind === 'shorten') {
      delete headers['content-length'];
      if (action.framing === 'length') headers['content-length'] = String(action.toBytes);
      if (action.framing === 'close') {
        headers['connection'] = 'close';
        outgoing.useChunkedEncodingByDefault = false;
      }
    }
    outgoing.writeHead(record.status, headers);
    if (record.method === 'HEAD') {
      answer.resume();
      outgoing.end();
      return;
    }
    pipeline(
      answer,
      (source: AsyncIterable<Buffer>) => corrupt(source, outgoing, record, action),
      outgoing,
      () => undefined,
    );
  }

  server.listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get passed() {
      return passed;
    },
    get hits() {
      return hits;
    },
    inject(fault) {
      faults.push({ fault, left: fault.times ?? Infinity });
    },
    reset() {
      passed = [];
      faults = [];
      hits = 0;
    },
    async counts(method) {
      await until(() => inFlight === 0, 'all responses of the proxy have ended');
      const of = passed.filter((record) => record.method === method && !isProbe(record));
      return { requests: of.length, bodyBytes: of.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0) };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** A replica's probe of its origin. */
export function isProbe({ target }: { readonly target: string }): boolean {
  return target.endsWith('_orca-probe');
}

/** Forwards the response's body: counted, and corrupted according to the action. */
async function* corrupt(
  answer: AsyncIterable<Buffer>,
  outgoing: ServerResponse,
  record: Passed,
  action: Action | undefined,
): AsyncGenerator<Buffer> {
  let left = Infinity;
  if (action?.kind === 'cut' || action?.kind === 'stall') left = action.afterBytes;
  if (action?.kind === 'shorten') left = action.toBytes;
  for await (const piece of answer) {
    const part = piece.subarray(0, Math.min(left, piece.length));
    left -= part.length;
    record.bodyBytes += part.length;
    if (part.length > 0) yield part;
    if (part.length === piece.length) continue;
    if (action?.kind === 'stall') {
      await gateOrClose(action.gate, outgoing);
      left = Infinity;
      const rest = piece.subarray(part.length);
      record.bodyBytes += rest.length;
      yield rest;
    } else if (action?.kind === 'cut') {
      // After the written bytes are sent; the client sees a FIN in the middle of a body.
      await new Promise<void>((resolve) => {
        setImmediate(() => {
          outgoing.socket?.destroySoon();
          resolve();
        });
      });
      throw new Error('the answer is cut here');
    } else if (left === 0) {
      return;
    }
  }
}

/** Rejects when the client closes the connection meanwhile. */
function gateOrClose(gate: Gate, outgoing: ServerResponse): Promise<void> {
  const closing = new AbortController();
  outgoing.once('close', () => closing.abort());
  return gate.pass(closing.signal);
}
