/**
 * Requests of a plain HTTP client: the target is sent exactly as given, and a response whose connection failed
 * is distinguished from one that ended.
 */
import { createHash } from 'node:crypto';
import { request as httpRequest, type Agent, type IncomingHttpHeaders } from 'node:http';

export interface HttpAnswer {
  /** 0 = the connection broke before a status line. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Everything that was announced has come. */
  readonly complete: boolean;
}

export interface HttpOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Called once, after the status line and before the body is read. */
  readonly onHead?: (status: number) => void | Promise<void>;
}

/** Rejects only for a target that is invalid in HTTP. `base` is `http://ip:port`. */
export function http(base: string, target: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve) => {
    let status = 0;
    let headers: IncomingHttpHeaders = {};
    const pieces: Buffer[] = [];
    const end = (complete: boolean): void => resolve({ status, headers, body: Buffer.concat(pieces), complete });
    const outgoing = httpRequest({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: target,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: options.agent ?? false,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    outgoing.once('response', (answer) => {
      status = answer.statusCode ?? 0;
      headers = answer.headers;
      const read = (): void => {
        answer.on('data', (piece: Buffer) => pieces.push(piece));
        answer.once('end', () => end(answer.complete));
        answer.once('error', () => end(false));
      };
      const ready = options.onHead?.(status);
      if (ready === undefined) read();
      else void ready.then(read);
    });
    outgoing.once('error', () => end(false));
    outgoing.end(options.body);
  });
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
