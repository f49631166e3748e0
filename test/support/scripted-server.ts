/**
 * A loopback server for edge cases of the wire: captures each request, and responds with exactly the bytes that the test
 * writes, truncated, late or malformed.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface CapturedRequest {
  readonly method: string;
  /** The request target, not decoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The connection's number, from 0. */
  readonly connection: number;
  /** The request's number on its connection, from 0. */
  readonly number: number;
}

export interface Answer {
  write(data: string | Uint8Array): void;
  /** Closes the connection after the bytes written so far. */
  end(): void;
  /** Closes it with a reset. */
  reset(): void;
  readonly socket: Socket;
}

export type Script = (request: CapturedRequest, answer: Answer) => void | Promise<void>;

export interface ScriptedServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: CapturedRequest[];
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Resolves as soon as no connection is open. */
  drained(): Promise<void>;
}

/** A response with a body and its Content-Length. */
export function reply(
  status: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | string = '',
): Buffer {
  const bytes = Buffer.from(body as string);
  const lines = Object.entries({ 'content-length': String(bytes.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`, 'latin1'), bytes]);
}

export async function startScriptedServer(script: Script, tls?: TlsOptions): Promise<ScriptedServer> {
  const requests: CapturedRequest[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  let onDrained: (() => void)[] = [];
  const onConnection = (socket: Socket): void => {
    const connection = accepted++;
    const reader = new RequestReader(connection);
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      for (const resolve of onDrained) resolve();
      onDrained = [];
    });
    const answer: Answer = {
      write: (data) => void socket.write(data),
      end: () => void socket.end(),
      reset: () => void (tls === undefined ? socket.resetAndDestroy() : socket.destroy()),
      socket,
    };
    socket.on('data', (data: Buffer) => {
      for (const request of reader.push(data)) {
        requests.push(request);
        void script(request, answer);
      }
    });
  };
  const server = tls === undefined ? createServer(onConnection) : createTlsServer(tls, onConnection);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    async drained() {
      if (sockets.size > 0) await new Promise<void>((resolve) => onDrained.push(resolve));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** Splits the bytes of one connection into requests. */
class RequestReader {
  readonly #connection: number;
  #number = 0;
  /** Not concatenated before a request is complete: that would copy a long body once for every piece. */
  #pieces: Buffer[] = [];
  #lengthBytes = 0;
  /** How many bytes are needed before there is anything to parse. */
  #neededBytes = 0;

  constructor(connection: number) {
    this.#connection = connection;
  }

  *push(data: Buffer): Generator<CapturedRequest> {
    this.#pieces.push(data);
    this.#lengthBytes += data.length;
    while (this.#lengthBytes >= this.#neededBytes) {
      const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#pieces = [bytes];
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      const { method, target, headers } = parseHead(bytes.toString('latin1', 0, end));
      const from = end + 4;
      const to = from + Number(headers['content-length'] ?? 0);
      this.#neededBytes = to;
      if (bytes.length < to) return;
      const rest = Buffer.from(bytes.subarray(to));
      this.#pieces = [rest];
      this.#lengthBytes = rest.length;
      this.#neededBytes = 0;
      const body = bytes.subarray(from, to);
      yield { method, target, headers, body, connection: this.#connection, number: this.#number++ };
    }
  }
}

function parseHead(head: string): Pick<CapturedRequest, 'method' | 'target' | 'headers'> {
  const [start = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = start.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { method, target, headers };
}
