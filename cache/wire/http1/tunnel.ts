/**
 * A tunnel through an HTTP proxy (CONNECT, RFC 9110 §9.3.6): a listener on loopback that forwards each connection to
 * one server. The byte path is therefore independent of proxies, TLS is end to end, and only proxied traffic pays for
 * it.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { withoutBrackets } from '#shared/host-name.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A response to CONNECT is a status line and a few headers. */
const MAX_HEAD_BYTES = 16 * 1024;

export interface TunnelOptions {
  readonly proxy: URL;
  /** The server's `host:port`. */
  readonly target: string;
}

export interface Tunnel {
  /** On loopback. */
  readonly port: number;
  close(): void;
}

export async function openTunnel({ proxy, target }: TunnelOptions): Promise<Tunnel> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (near) => {
    track(near);
    const far = connect({
      host: withoutBrackets(proxy.hostname),
      port: Number(proxy.port === '' ? 80 : proxy.port),
      allowHalfOpen: true,
      noDelay: true,
    });
    track(far);
    // A reset or close of one side is repeated on the other, so that a cut connection looks cut on both.
    near.once('close', (hadError) => (hadError ? far.resetAndDestroy() : far.destroySoon()));
    far.once('close', (hadError) => (hadError ? near.resetAndDestroy() : near.destroySoon()));
    near.on('error', () => far.destroy());
    far.on('error', () => near.resetAndDestroy());
    far.setTimeout(CONNECT_TIMEOUT_MS, () => near.resetAndDestroy());
    far.once('connect', () => far.write(connectRequest(proxy, target), 'latin1'));
    awaitAccepted(far, () => {
      far.setTimeout(0);
      near.pipe(far);
      far.pipe(near);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // It must not keep the process alive.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function connectRequest(proxy: URL, target: string): string {
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const authorization =
    user === ':' ? '' : `Proxy-Authorization: Basic ${Buffer.from(user, 'utf8').toString('base64')}\r\n`;
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`;
}

/** Calls back once the proxy has answered 2xx; closes the connection for any other answer. */
function awaitAccepted(far: Socket, accepted: () => void): void {
  let head = Buffer.alloc(0);
  const onData = (bytes: Buffer): void => {
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length <= MAX_HEAD_BYTES) return;
    far.off('data', onData);
    far.pause();
    if (end < 0 || !/^HTTP\/1\.[01] 2\d\d(?: |\r)/.test(head.toString('latin1', 0, end + 2))) {
      far.destroy(new Error('the proxy refused the tunnel'));
      return;
    }
    const rest = head.subarray(end + 4);
    if (rest.length > 0) far.unshift(rest);
    accepted();
  };
  far.on('data', onData);
}
