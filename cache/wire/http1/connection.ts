/**
 * One TCP or TLS connection that reads straight into memory chosen by the current receiver. Between receivers it is
 * idle, and any byte then closes it.
 */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as NodeTlsOptions, type SecureContext } from 'node:tls';
import { WireError } from './errors.ts';
import { cancelledBy } from './sink.ts';

/** Receives a connection's bytes. */
export interface Receiver {
  /** Where the next read lands; undefined = in the connection's own scratch memory. */
  buffer(): Uint8Array | undefined;
  /**
   * `lengthBytes` have been read: into `scratch` if they did not land in the receiver's memory (valid until this call
   * returns). False pauses reading until `resume`.
   */
  received(lengthBytes: number, scratch: Uint8Array | undefined): boolean;
  /** The other side has finished sending, or the connection is closed. */
  ended(cause: Error | undefined): void;
}

export interface Connection {
  readonly destroyed: boolean;
  receive(receiver: Receiver | undefined): void;
  resume(): void;
  /** `done` is called once the bytes are handed to the kernel; the caller keeps them unchanged until then. */
  write(bytes: Uint8Array | string, done: (error: Error | null | undefined) => void): void;
  /** Removes the receiver; an idle connection does not keep the process alive. */
  setIdle(): void;
  setActive(): void;
  destroy(): void;
}

export interface TlsSettings {
  readonly secureContext: SecureContext | undefined;
  readonly servername: string;
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
}

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsSettings;
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
  /** Called once, in the same turn, when this side closes the connection. */
  readonly onDestroyed: (connection: Connection) => void;
}

/** Heads are read into this buffer. Body bytes in the same read have to be copied: small, so that the copy is small. */
const SCRATCH_BYTES = 16 * 1024;

/** Rejects with WireError `connect`, or with the signal's reason. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  if (options.signal.aborted) throw cancelledBy(options.signal);
  const connection = new SocketConnection(options);
  await connected(connection.socket, options);
  connection.watchEnd();
  return connection;
}

class SocketConnection implements Connection {
  readonly socket: Socket;
  readonly #onDestroyed: ConnectionOptions['onDestroyed'];
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  #receiver: Receiver | undefined;
  /** The receiver's memory that the kernel fills next; undefined = scratch. */
  #target: Uint8Array | undefined;
  #failure: Error | undefined;
  #destroyed = false;

  constructor(options: ConnectionOptions) {
    const { host, port, tls } = options;
    this.#onDestroyed = options.onDestroyed;
    // Node asks for the next buffer right after each callback, so both calls concern the same receiver.
    const onread = {
      buffer: () => this.#nextBuffer(),
      callback: (lengthBytes: number) => this.#onRead(lengthBytes),
    };
    this.socket = tls === undefined ? connectTcp({ host, port, onread }) : connectTls(tlsOptions(options, tls, onread));
    // A request head must not wait for the first part of the body.
    this.socket.setNoDelay(true);
    if (tls !== undefined) this.socket.on('session', tls.onSession);
  }

  #nextBuffer(): Uint8Array {
    this.#target = this.#receiver?.buffer();
    return this.#target ?? this.#scratch;
  }

  #onRead(lengthBytes: number): boolean {
    const isDirect = this.#target !== undefined;
    this.#target = undefined;
    if (this.#receiver === undefined) {
      // Unsolicited data: a late response to an earlier request, or a server that sends first. Never reuse it.
      this.destroy();
      return false;
    }
    return this.#receiver.received(lengthBytes, isDirect ? undefined : this.#scratch.subarray(0, lengthBytes));
  }

  /** To be called once, after the connection is established. */
  watchEnd(): void {
    const onEnd = (): void => {
      const receiver = this.#receiver;
      this.destroy();
      receiver?.ended(this.#failure);
    };
    this.socket.on('error', (error) => (this.#failure = error));
    this.socket.on('end', onEnd);
    this.socket.on('close', onEnd);
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  receive(receiver: Receiver | undefined): void {
    this.#receiver = receiver;
  }

  resume(): void {
    if (!this.#destroyed) this.socket.resume();
  }

  write(bytes: Uint8Array | string, done: (error: Error | null | undefined) => void): void {
    // Latin-1: header values are bytes, and a path is ASCII.
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1', done);
    else this.socket.write(bytes, done);
  }

  setIdle(): void {
    this.#receiver = undefined;
    this.socket.unref();
  }

  setActive(): void {
    this.socket.ref();
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#receiver = undefined;
    this.socket.destroy();
    this.#onDestroyed(this);
  }
}

/**
 * Resolves once the connection is established, including the TLS handshake. A socket that fails before is destroyed.
 */
function connected(socket: Socket, { host, port, tls, connectTimeoutMs, signal }: ConnectionOptions): Promise<void> {
  const event = tls === undefined ? 'connect' : 'secureConnect';
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      stopWaiting();
      socket.on('error', () => socket.destroy());
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error): void =>
      fail(new WireError('connect', `no connection to ${host}:${port}`, { cause: error }));
    const onClose = (): void => fail(new WireError('connect', `${host}:${port} closed the connection at once`));
    const onAbort = (): void => fail(cancelledBy(signal));
    const onConnect = (): void => {
      stopWaiting();
      resolve();
    };
    const timer = setTimeout(
      () => fail(new WireError('connect', `no connection to ${host}:${port} within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const stopWaiting = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError).off('close', onClose).off(event, onConnect);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', onError).on('close', onClose).on(event, onConnect);
  });
}

/** tls.connect passes `onread` on to its socket, though its types do not list it. */
function tlsOptions(
  { host, port }: ConnectionOptions,
  { servername, secureContext, session }: TlsSettings,
  onread: OnReadOpts,
): NodeTlsOptions & { readonly onread: OnReadOpts } {
  return {
    host,
    port,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(servername) === 0 && { servername }),
    ...(secureContext !== undefined && { secureContext }),
    ...(session !== undefined && { session }),
    onread,
  };
}
