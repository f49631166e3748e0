/**
 * Who is connected, and who of them only waits. When there is no room left, a connection on which nothing is being
 * answered makes way for a new one, the one that has waited longest first: those who open thousands and say nothing,
 * or say it byte by byte, keep nobody else out.
 */
import type { Socket } from 'node:net';

/**
 * Requests on one connection that are not answered yet. No S3 client pipelines; each that waits for its turn is
 * kilobytes of memory for some forty bytes on the wire.
 */
export const MAX_PIPELINED = 64;
/** A refused client has so long to read why. */
const REFUSAL_LINGER_MS = 1_000;
const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

export interface ConnectionTable {
  readonly size: number;
  admit(socket: Socket): void;
  /** False for a connection that was refused or shut, or that asks for too much at once: it is ended, and answered no more. */
  begin(socket: Socket): boolean;
  end(socket: Socket): void;
  /** Nothing more that comes on it is a request. */
  shut(socket: Socket): void;
  /** How many there were. */
  destroyAll(): number;
}

/** Why a connection was ended that did nothing wrong but be there, or ask too much. */
export type Shed = 'made_way' | 'refused' | 'pipelined';

export function connectionTable(maxConnections: number, onShed: (why: Shed) => void): ConnectionTable {
  /** Of each connection, how many requests are being answered. */
  const running = new Map<Socket, number>();
  const refused = new Set<Socket>();
  /** In the order in which they began to wait. */
  const waiting = new Set<Socket>();

  const forget = (socket: Socket): void => {
    running.delete(socket);
    waiting.delete(socket);
    refused.delete(socket);
  };
  const refuse = (socket: Socket): void => {
    refused.add(socket);
    socket.end(REFUSAL);
    // Not at once: what it may have sent and nobody read would make a reset of this answer.
    setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref();
  };

  return {
    get size() {
      return running.size;
    },
    admit(socket) {
      socket.once('close', () => forget(socket));
      if (running.size >= maxConnections) {
        const [longest] = waiting;
        if (longest === undefined) {
          refuse(socket);
          onShed('refused');
          return;
        }
        forget(longest);
        longest.destroy();
        onShed('made_way');
      }
      running.set(socket, 0);
      waiting.add(socket);
    },
    begin(socket) {
      const count = running.get(socket);
      if (count === undefined) return false;
      if (count >= MAX_PIPELINED) {
        forget(socket);
        socket.destroy();
        onShed('pipelined');
        return false;
      }
      running.set(socket, count + 1);
      waiting.delete(socket);
      return true;
    },
    end(socket) {
      const count = running.get(socket);
      if (count === undefined) return;
      running.set(socket, count - 1);
      if (count === 1) waiting.add(socket);
    },
    shut(socket) {
      running.delete(socket);
      waiting.delete(socket);
      refused.add(socket);
    },
    destroyAll() {
      const count = running.size;
      for (const socket of [...running.keys(), ...refused]) socket.destroy();
      return count;
    },
  };
}
