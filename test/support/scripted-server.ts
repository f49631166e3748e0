/**
 * A loopback server for the wire's edge cases: it captures each request's raw head and answers with exactly the bytes
 * that the test says, cut, late or malformed.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface CapturedRequest {
  readonly method: string;
  /** The request target exactly as it came. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Which connection it came on, from 0. */
  readonly connection: number;
  /** Its number on that connection, from 0. */
  readonly number: number;
}

export interface Answer {
  write(data: string | Uint8Array): void;
  /** Ends the connection cleanly after what was written. */
  end(): void;
  /** Ends it with a reset. */
  reset(): void;
  readonly socket: Socket;
}

export type Script = (request: CapturedRequest, answer: Answer) => void | Promise<void>;

export interface ScriptedServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: CapturedRequest[];
  /** Connections accepted so far, and those open now. */
  readonly accepted: number;
  readonly open: number;
  /** Resolves as soon as no connection is open. */
  drained(): Promise<void>;
}

/** An answer with a body and its Content-Length. */
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
    let number = 0;
    let buffered = Buffer.alloc(0);
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
      buffered = Buffer.concat([buffered, data]);
      while (true) {
        const end = buffered.indexOf('\r\n\r\n');
        if (end < 0) return;
        const [start = '', ...lines] = buffered.toString('latin1', 0, end).split('\r\n');
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        );
        const lengthBytes = Number(headers['content-length'] ?? 0);
        if (buffered.length < end + 4 + lengthBytes) return;
        const [method = '', target = ''] = start.split(' ');
        const body = buffered.subarray(end + 4, end + 4 + lengthBytes);
        buffered = Buffer.from(buffered.subarray(end + 4 + lengthBytes));
        const request = { method, target, headers, body, connection, number: number++ };
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
