/** TLS connections that have not shown themselves yet: so many may try at a time, then the one that tries longest goes. */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';

/**
 * `maxHandshakes`: beside those that are through. `onThrough` is called with the secure socket and the TCP socket that
 * carries it.
 */
export function limitHandshakes(
  server: Server,
  maxHandshakes: number,
  onThrough: (socket: Socket, carrier: Socket) => void,
): void {
  /** By the client's address and port, which the plain and the secure socket share; longest first. */
  const trying = new Map<string, Socket>();
  const nameOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    trying.set(name, socket);
    socket.once('close', () => trying.get(name) === socket && trying.delete(name));
    if (trying.size <= maxHandshakes) return;
    for (const [oldest, longest] of trying) {
      trying.delete(oldest);
      longest.destroy();
      break;
    }
  });
  server.on('secureConnection', (socket) => {
    const name = nameOf(socket);
    const carrier = trying.get(name);
    trying.delete(name);
    // Too many tried, and this was the longest.
    if (carrier === undefined) socket.destroy();
    else onThrough(socket, carrier);
  });
}
