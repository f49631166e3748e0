/** Very many connections that do as little as they can. */
import { connect, type Socket } from 'node:net';
import { until } from './until.ts';

/** So many at a time are being made: a kernel's queue of them is some thousands long. */
const AT_ONCE = 250;
/** On a machine that does something else too. */
const LIMIT_MS = 60_000;

export interface Crowd extends Disposable {
  /** Connections that are still there. */
  readonly open: number;
  /** What has come on any of them. */
  readonly heard: string;
  /** On each that is still there. */
  say(text: string): void;
}

/** Resolves once each of `count` has been accepted, whatever became of it. Each says `first` at once. */
export async function gatherCrowd(endpoint: string, count: number, first = ''): Promise<Crowd> {
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
    // Whoever is shown out may learn it from a reset.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      settle();
      sockets.delete(socket);
    });
  }
  await until(() => connecting === 0, 'everybody has been accepted', LIMIT_MS);
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
