/**
 * One TCP or TLS connection whose bytes are read straight into memory that the current receiver names; between receivers
 * it rests, and any byte then ends it.
 */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as NodeTlsOptions, type SecureContext } from 'node:tls';
import { WireError } from './errors.ts';
import { cancelledBy } from './sink.ts';

/** Who gets a connection's bytes. */
export interface Receiver {
  /** Where the next read shall land; undefined = into the connection's own scratch memory. */
  buffer(): Uint8Array | undefined;
  /**
   * So many bytes are in: `scratch` holds them if they did not land in the receiver's memory (valid until this call
   * returns). False stops reading until `resume`.
   */
  received(lengthBytes: number, scratch: Uint8Array | undefined): boolean;
  /** The other side has finished sending, or the connection is gone. */
  ended(cause: Error | undefined): void;
}

export interface Connection {
  readonly destroyed: boolean;
  receive(receiver: Receiver | undefined): void;
  resume(): void;
  /** Resolves once the bytes are handed to the kernel; the caller keeps them unchanged until then. */
  write(bytes: Uint8Array | string, done: (error: Error | null | undefined) => void): void;
  /** Nobody uses it: it no longer keeps the process alive. */
  rest(): void;
  wake(): void;
  destroy(): void;
}

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: {
    readonly secureContext: SecureContext | undefined;
    readonly servername: string;
    readonly session: Buffer | undefined;
    readonly onSession: (session: Buffer) => void;
  };
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
  /** Called once, in the same turn as the destruction that this side decides. */
  readonly onDestroyed: (connection: Connection) => void;
}

/** Heads land here, and what follows them in the same read is copied: small, so that the copy is. */
const SCRATCH_BYTES = 16 * 1024;

/** Rejects with WireError `connect`, or as the signal says. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { host, port, tls, connectTimeoutMs, signal } = options;
  if (signal.aborted) throw cancelledBy(signal);
  const scratch = new Uint8Array(SCRATCH_BYTES);
  let receiver: Receiver | undefined;
  /** The receiver's memory that the kernel fills next; undefined = scratch. */
  let own: Uint8Array | undefined;
  let failure: Error | undefined;
  let destroyed = false;

  const onread = {
    // Node asks for the next buffer right after each callback, so the two always speak of the same receiver.
    buffer(): Uint8Array {
      own = receiver?.buffer();
      return own ?? scratch;
    },
    callback(lengthBytes: number): boolean {
      const direct = own !== undefined;
      own = undefined;
      if (receiver === undefined) {
        // Nobody asked: an answer to a request of before, or a server that talks first. Never to be trusted again.
        connection.destroy();
        return false;
      }
      return receiver.received(lengthBytes, direct ? undefined : scratch.subarray(0, lengthBytes));
    },
  };
  const socket: Socket =
    tls === undefined ? connectTcp({ host, port, onread }) : connectTls(tlsOptions(options, tls, onread));
  const connection: Connection = {
    get destroyed() {
      return destroyed;
    },
    receive(next) {
      receiver = next;
    },
    resume() {
      if (!destroyed) socket.resume();
    },
    write(bytes, done) {
      // Latin-1: header values are bytes, and a path has only ASCII.
      if (typeof bytes === 'string') socket.write(bytes, 'latin1', done);
      else socket.write(bytes, done);
    },
    rest() {
      receiver = undefined;
      socket.unref();
    },
    wake() {
      socket.ref();
    },
    destroy() {
      if (destroyed) return;
      destroyed = true;
      receiver = undefined;
      socket.destroy();
      options.onDestroyed(connection);
    },
  };
  const over = (): void => {
    const last = receiver;
    connection.destroy();
    last?.ended(failure);
  };
  // A request head must not wait for the body's first piece.
  socket.setNoDelay(true);
  if (tls !== undefined) socket.on('session', tls.onSession);

  await new Promise<void>((resolve, reject) => {
    const giveUp = (error: Error): void => {
      settle();
      socket.on('error', () => socket.destroy());
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error): void =>
      giveUp(new WireError('connect', `no connection to ${host}:${port}`, { cause: error }));
    const onClose = (): void => giveUp(new WireError('connect', `${host}:${port} closed the connection at once`));
    const onAbort = (): void => giveUp(cancelledBy(signal));
    const timer = setTimeout(
      () => giveUp(new WireError('connect', `no connection to ${host}:${port} within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const onConnect = (): void => {
      settle();
      resolve();
    };
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket
        .off('error', onError)
        .off('close', onClose)
        .off(tls === undefined ? 'connect' : 'secureConnect', onConnect);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket
      .on('error', onError)
      .on('close', onClose)
      .on(tls === undefined ? 'connect' : 'secureConnect', onConnect);
  });
  socket.on('error', (error) => (failure = error));
  socket.on('end', over);
  socket.on('close', over);
  return connection;
}

/** tls.connect hands `onread` on to its socket, though its types do not say so. */
function tlsOptions(
  { host, port }: ConnectionOptions,
  { servername, secureContext, session }: NonNullable<ConnectionOptions['tls']>,
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
