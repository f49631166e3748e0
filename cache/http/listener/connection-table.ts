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
/**
 * A connection that has waited longer has all of its last answer: what the kernels hold of one, some 6 MiB, goes in that
 * time to any client that takes 200 KiB/s.
 */
const TAIL_MS = 30_000;
const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

export interface ConnectionTable {
  readonly size: number;
  /** `carrier`: the TCP socket that TLS runs on, or the same. */
  admit(socket: Socket, carrier: Socket): void;
  /** False for a connection that was refused or shut, or that asks for too much at once: it is ended, and answered no more. */
  begin(socket: Socket): boolean;
  end(socket: Socket): void;
  /** Nothing more that comes on it is a request. */
  shut(socket: Socket): void;
  /**
   * Says goodbye, and lets the other side close: by then it has all that was sent. A socket that is destroyed leaves what
   * is on its way to the kernel, which forgets it as soon as the pod's network goes.
   */
  leave(socket: Socket): void;
  /** The same for all on which nothing is being answered. */
  leaveWaiting(): void;
  /** Resets what is left, for nobody to wait for the rest of an answer. How many there were. */
  resetAll(): number;
}

/** Why a connection was ended that did nothing wrong but be there, or ask too much. */
export type Shed = 'made_way' | 'refused' | 'pipelined';

interface Connection {
  readonly carrier: Socket;
  /** Requests that are being answered. */
  running: number;
}

export function connectionTable(maxConnections: number, onShed: (why: Shed) => void): ConnectionTable {
  const open = new Map<Socket, Connection>();
  /** Answered no more. */
  const leaving = new Map<Socket, Connection>();
  /** Since when, on `performance.now()`, in that order; undefined = nothing was ever answered. */
  const waiting = new Map<Socket, number | undefined>();

  const forget = (socket: Socket): void => {
    open.delete(socket);
    waiting.delete(socket);
    leaving.delete(socket);
  };
  const shut = (socket: Socket): void => {
    const connection = open.get(socket);
    if (connection === undefined) return;
    forget(socket);
    leaving.set(socket, connection);
  };
  const leave = (socket: Socket): void => {
    shut(socket);
    socket.end();
  };
  const refuse = (socket: Socket, carrier: Socket): void => {
    leaving.set(socket, { carrier, running: 0 });
    socket.end(REFUSAL);
    // Not at once: what it may have sent and nobody read would make a reset of this answer.
    setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref();
  };

  return {
    get size() {
      return open.size;
    },
    admit(socket, carrier) {
      socket.once('close', () => forget(socket));
      if (open.size >= maxConnections) {
        const [longest] = waiting.keys();
        if (longest === undefined) {
          refuse(socket, carrier);
          onShed('refused');
          return;
        }
        forget(longest);
        longest.destroy();
        onShed('made_way');
      }
      open.set(socket, { carrier, running: 0 });
      waiting.set(socket, undefined);
    },
    begin(socket) {
      const connection = open.get(socket);
      if (connection === undefined) return false;
      if (connection.running >= MAX_PIPELINED) {
        forget(socket);
        socket.destroy();
        onShed('pipelined');
        return false;
      }
      connection.running++;
      waiting.delete(socket);
      return true;
    },
    end(socket) {
      const connection = open.get(socket);
      if (connection === undefined) return;
      connection.running--;
      if (connection.running === 0) waiting.set(socket, performance.now());
    },
    shut,
    leave,
    leaveWaiting() {
      const nowMs = performance.now();
      for (const [socket, sinceMs] of waiting) {
        if (sinceMs !== undefined && nowMs - sinceMs < TAIL_MS) leave(socket);
        else socket.destroy();
      }
    },
    resetAll() {
      const left = [...open.values(), ...leaving.values()];
      for (const { carrier } of left) carrier.resetAndDestroy();
      return left.length;
    },
  };
}
