/** Limits the TLS handshakes in progress: beyond the limit, the oldest one is closed. */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';

/**
 * `maxHandshakes` counts in addition to established connections. `onSecure` is called with the secure socket and the
 * TCP socket that carries it.
 */
export function limitHandshakes(
  server: Server,
  maxHandshakes: number,
  onSecure: (socket: Socket, carrier: Socket) => void,
): void {
  /** By the client's address and port, which the TCP and the secure socket share; oldest first. */
  const pending = new Map<string, Socket>();
  const nameOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    pending.set(name, socket);
    socket.once('close', () => pending.get(name) === socket && pending.delete(name));
    if (pending.size <= maxHandshakes) return;
    for (const [oldestName, oldest] of pending) {
      pending.delete(oldestName);
      oldest.destroy();
      break;
    }
  });
  server.on('secureConnection', (socket) => {
    const name = nameOf(socket);
    const carrier = pending.get(name);
    pending.delete(name);
    // It was the oldest of too many, and has been closed.
    if (carrier === undefined) socket.destroy();
    else onSecure(socket, carrier);
  });
}
