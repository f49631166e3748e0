/** Thousands of idle connections. */
import { connect, type Socket } from 'node:net';
import { until } from './until.ts';

/** Connections opened at the same time: the kernel's accept queue holds some thousands. */
const AT_ONCE = 250;
/** Generous, since the machine may be busy. */
const LIMIT_MS = 60_000;

export interface IdleConnections extends Disposable {
  /** The number of connections that are still open. */
  readonly open: number;
  /** The bytes received on any of them. */
  readonly heard: string;
  /** Writes to each open connection. */
  say(text: string): void;
}

/** Resolves once each of `count` connections was accepted, even if it was closed then. Each sends `first` at once. */
export async function openIdleConnections(endpoint: string, count: number, first = ''): Promise<IdleConnections> {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  let heard = '';
  let connecting = 0;
  for (let number = 0; number < count; number++) {
    await until(() => connecting < AT_ONCE, 'there is room for one more attempt', LIMIT_MS);
    connecting += 1;
    const socket = connect({ host: hostname, port: Number(port) });
    sockets.add(socket);
    let settled = false;
    const settle = (): void => {
      if (!settled) connecting -= 1;
      settled = true;
    };
    socket.once('connect', () => {
      settle();
      if (first !== '') socket.write(first);
    });
    socket.on('data', (piece) => {
      if (heard.length < 10_000) heard += piece.toString('latin1');
    });
    // A connection that the server closes may end with a reset.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      settle();
      sockets.delete(socket);
    });
  }
  await until(() => connecting === 0, 'all connections are accepted', LIMIT_MS);
  return {
    get open() {
      return sockets.size;
    },
    get heard() {
      return heard;
    },
    say(text) {
      for (const socket of sockets) if (!socket.destroyed) socket.write(text);
    },
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
