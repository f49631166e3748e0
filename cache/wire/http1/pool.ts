/**
 * The connections to one endpoint: the most recently used idle one first, a bounded number of idle ones, each for less
 * time than servers keep them.
 */
import type { SecureContext } from 'node:tls';
import { openConnection, type Connection } from './connection.ts';
import { WireError } from './errors.ts';

export interface PoolOptions {
  /** `http://host[:port]` or `https://host[:port]`; the path is ignored. */
  readonly endpoint: string;
  /** Trust for https; default: the system's. See `trust.ts`. */
  readonly secureContext?: SecureContext | undefined;
  /** The Host header and the name in the certificate, where they differ from the address; default: the endpoint's. */
  readonly authority?: string | undefined;
  /** Idle connections kept. Default 64: as many as one pod ever reads at once from one endpoint when it is busy. */
  readonly maxIdle?: number | undefined;
  /** Default 4 s: Node's own servers close after 5 s; a Keep-Alive hint of the server may only shorten it. */
  readonly idleTimeoutMs?: number | undefined;
  /** Name look-up, TCP and TLS together. Default 2 s. */
  readonly connectTimeoutMs?: number | undefined;
}

export interface Pool {
  readonly authority: string;
  readonly counts: { readonly active: number; readonly idle: number };
  /** An idle connection, else a new one. */
  take(signal: AbortSignal): Promise<PooledConnection>;
  /** A new connection. */
  connect(signal: AbortSignal): Promise<PooledConnection>;
  close(): void;
}

export interface PooledConnection {
  readonly connection: Connection;
  readonly reused: boolean;
  /** Gives it back: for the next request, or to its end. */
  release(reusable: boolean, idleHintMs?: number): void;
}

const DEFAULT_MAX_IDLE = 64;
const DEFAULT_IDLE_TIMEOUT_MS = 4_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000;

export function openPool(options: PoolOptions): Pool {
  const url = new URL(options.endpoint);
  const tls = url.protocol === 'https:';
  if (!tls && url.protocol !== 'http:') throw new RangeError(`the endpoint must be http or https, not ${url.protocol}`);
  // URL keeps the brackets of an IPv6 address, sockets want it without.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
  const authority = options.authority ?? url.host;
  const maxIdle = options.maxIdle ?? DEFAULT_MAX_IDLE;
  const idleTimeoutMs = options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
  const connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const idle: { readonly connection: Connection; readonly timer: NodeJS.Timeout }[] = [];
  let active = 0;
  let closed = false;
  /** The last TLS session, so that the next handshake is a short one. */
  let session: Buffer | undefined;

  const drop = (connection: Connection): void => {
    const at = idle.findIndex((entry) => entry.connection === connection);
    if (at >= 0) clearTimeout(idle.splice(at, 1)[0]?.timer);
  };
  const park = (connection: Connection, hintMs: number): void => {
    const timer = setTimeout(() => connection.destroy(), Math.min(idleTimeoutMs, hintMs));
    timer.unref();
    idle.push({ connection, timer });
    connection.rest();
    if (idle.length > maxIdle) idle[0]?.connection.destroy();
  };
  const hand = (connection: Connection, reused: boolean): PooledConnection => {
    active += 1;
    let released = false;
    return {
      connection,
      reused,
      release(reusable, idleHintMs = Infinity) {
        if (released) return;
        released = true;
        active -= 1;
        if (reusable && !closed && !connection.destroyed && idleHintMs > 0) park(connection, idleHintMs);
        else connection.destroy();
      },
    };
  };
  const connect = async (signal: AbortSignal): Promise<PooledConnection> => {
    if (closed) throw new WireError('connect', 'the client is closed');
    const connection = await openConnection({
      host,
      port,
      ...(tls && {
        tls: {
          secureContext: options.secureContext,
          servername: new URL(`https://${authority}`).hostname.replace(/^\[|\]$/g, ''),
          session,
          onSession: (next: Buffer) => (session = next),
        },
      }),
      connectTimeoutMs,
      signal,
      onDestroyed: drop,
    });
    return hand(connection, false);
  };
  return {
    authority,
    get counts() {
      return { active, idle: idle.length };
    },
    async take(signal) {
      while (true) {
        const entry = idle.pop();
        if (entry === undefined) return connect(signal);
        clearTimeout(entry.timer);
        if (entry.connection.destroyed) continue;
        entry.connection.wake();
        return hand(entry.connection, true);
      }
    },
    connect,
    close() {
      closed = true;
      for (const { connection } of idle.splice(0)) connection.destroy();
    },
  };
}
