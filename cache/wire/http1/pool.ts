/**
 * The connection pool of one endpoint: reuses the most recently used idle connection first, and keeps a bounded number
 * of them, each for less time than servers keep theirs.
 */
import type { SecureContext } from 'node:tls';
import { withoutBrackets } from '#shared/host-name.ts';
import { openConnection, type Connection } from './connection.ts';
import { WireError } from './errors.ts';

export interface PoolOptions {
  /** `http://host[:port]` or `https://host[:port]`; the path is ignored. */
  readonly endpoint: string;
  /** Trust for https; default: the system's. See `trust.ts`. */
  readonly secureContext?: SecureContext | undefined;
  /** The Host header and the name in the certificate, if they differ from the address. Default: the endpoint's. */
  readonly authority?: string | undefined;
  /** The maximum number of idle connections. Default 64: as many as a busy pod reads from one endpoint at once. */
  readonly maxIdle?: number | undefined;
  /** Default 4 s: Node's own servers close after 5 s. A Keep-Alive hint of the server can only shorten it. */
  readonly idleTimeoutMs?: number | undefined;
  /** Name lookup, TCP and TLS together. Default 2 s. */
  readonly connectTimeoutMs?: number | undefined;
}

export interface PooledConnection {
  readonly connection: Connection;
  /** It has carried a request before. */
  readonly reused: boolean;
  /** Returns it to the pool if it is reusable; closes it otherwise. */
  release(isReusable: boolean, idleHintMs?: number): void;
}

interface IdleConnection {
  readonly connection: Connection;
  readonly closeAtMs: number;
}

const DEFAULT_MAX_IDLE = 64;
const DEFAULT_IDLE_TIMEOUT_MS = 4_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000;

export class Pool {
  readonly authority: string;
  readonly #options: PoolOptions;
  readonly #isTls: boolean;
  readonly #host: string;
  readonly #port: number;
  /** Most recently used last. */
  readonly #idle: IdleConnection[] = [];
  /** One for all idle connections: one for each would be set and cleared with every request. */
  #idleTimer: NodeJS.Timeout | undefined;
  #idleTimerMs = 0;
  #active = 0;
  #isClosed = false;
  /** The last TLS session, to resume it in the next handshake. */
  #session: Buffer | undefined;

  /** Throws RangeError for an endpoint that is not http or https. */
  constructor(options: PoolOptions) {
    const url = new URL(options.endpoint);
    this.#isTls = url.protocol === 'https:';
    if (!this.#isTls && url.protocol !== 'http:')
      throw new RangeError(`the endpoint must be http or https, not ${url.protocol}`);
    this.#options = options;
    this.#host = withoutBrackets(url.hostname);
    this.#port = url.port === '' ? (this.#isTls ? 443 : 80) : Number(url.port);
    this.authority = options.authority ?? url.host;
  }

  get counts(): { readonly active: number; readonly idle: number } {
    return { active: this.#active, idle: this.#idle.length };
  }

  /** An idle connection if there is one, a new one otherwise. */
  async take(signal: AbortSignal): Promise<PooledConnection> {
    // None of them is closed: closing one removes it from the list in the same turn.
    const entry = this.#idle.pop();
    if (entry === undefined) return this.connect(signal);
    entry.connection.setActive();
    return this.#lend(entry.connection, true);
  }

  /** A new connection. */
  async connect(signal: AbortSignal): Promise<PooledConnection> {
    if (this.#isClosed) throw new WireError('connect', 'the client is closed');
    const connection = await openConnection({
      host: this.#host,
      port: this.#port,
      ...(this.#isTls && { tls: this.#tlsSettings() }),
      connectTimeoutMs: this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
      signal,
      onDestroyed: (destroyed) => this.#removeIdle(destroyed),
    });
    return this.#lend(connection, false);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    for (const { connection } of this.#idle.splice(0)) connection.destroy();
  }

  #tlsSettings() {
    return {
      secureContext: this.#options.secureContext,
      servername: withoutBrackets(new URL(`https://${this.authority}`).hostname),
      session: this.#session,
      onSession: (session: Buffer) => {
        this.#session = session;
      },
    };
  }

  #lend(connection: Connection, reused: boolean): PooledConnection {
    this.#active += 1;
    let isReleased = false;
    return {
      connection,
      reused,
      release: (isReusable, idleHintMs = Infinity) => {
        if (isReleased) return;
        isReleased = true;
        this.#active -= 1;
        if (isReusable && !this.#isClosed && !connection.destroyed && idleHintMs > 0)
          this.#keep(connection, idleHintMs);
        else connection.destroy();
      },
    };
  }

  #keep(connection: Connection, idleHintMs: number): void {
    const { maxIdle = DEFAULT_MAX_IDLE, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = this.#options;
    const closeAtMs = performance.now() + Math.min(idleTimeoutMs, idleHintMs);
    this.#idle.push({ connection, closeAtMs });
    connection.setIdle();
    if (this.#idle.length > maxIdle) this.#idle[0]?.connection.destroy();
    if (this.#idleTimer === undefined || this.#idleTimerMs > closeAtMs) this.#closeIdleAt(closeAtMs);
  }

  #closeIdleAt(atMs: number): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimerMs = atMs;
    this.#idleTimer = setTimeout(this.#closeIdle, Math.max(0, Math.ceil(atMs - performance.now())));
    this.#idleTimer.unref();
  }

  readonly #closeIdle = (): void => {
    this.#idleTimer = undefined;
    const nowMs = performance.now();
    const expired = this.#idle.filter(({ closeAtMs }) => closeAtMs <= nowMs);
    for (const { connection } of expired) connection.destroy();
    const nextMs = Math.min(...this.#idle.map(({ closeAtMs }) => closeAtMs));
    if (nextMs < Infinity) this.#closeIdleAt(nextMs);
  };

  #removeIdle(connection: Connection): void {
    const at = this.#idle.findIndex((entry) => entry.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
