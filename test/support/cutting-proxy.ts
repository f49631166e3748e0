/** A TCP proxy on loopback that ends connections in the middle: the effect of a dying pod or a lost route on a transfer. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface CuttingProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Connections that were cut so far. */
  readonly cuts: number;
  /** Resolves as soon as the server behind is done with every connection that was cut. */
  settled(): Promise<void>;
  /**
   * The next connections are closed after `cut` bytes in one direction: `fin` ends them like a process that exits,
   * `reset` like one that is killed with unread data.
   */
  cutNext(cut: Cut | undefined): void;
  /** The same for one connection only. */
  cutOnce(cut: Cut): void;
}

export interface Cut {
  readonly direction: 'up' | 'down';
  readonly afterBytes: number;
  readonly how: 'fin' | 'reset';
}

export async function startCuttingProxy(upstream: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(upstream);
  const sockets = new Set<Socket>();
  let next: Cut | undefined;
  let once = false;
  let cuts = 0;
  const settling: Promise<void>[] = [];
  const server = createServer((client) => {
    const cut = next;
    if (once) next = undefined;
    once = false;
    const server = connect({ host: hostname, port: Number(port) });
    let moved = 0;
    const end = (): void => {
      cuts += 1;
      settling.push(new Promise((resolve) => server.once('close', () => resolve())));
      if (cut?.how === 'reset') {
        client.resetAndDestroy();
        server.resetAndDestroy();
      } else {
        client.destroySoon();
        // Only this side closes: the server's own close then shows that it has processed its bytes.
        server.end();
      }
    };
    const forward = (from: Socket, to: Socket, direction: 'up' | 'down'): void => {
      sockets.add(from);
      from.on('data', (data: Buffer) => {
        const limit = cut?.direction === direction ? cut.afterBytes : Infinity;
        const part = data.subarray(0, Math.max(0, limit - moved));
        if (cut?.direction === direction) moved += part.length;
        if (part.length > 0 && !to.destroyed && !to.write(part)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        if (part.length < data.length) {
          from.pause();
          end();
        }
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.end();
      });
    };
    forward(client, server, 'up');
    forward(server, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    async settled() {
      await Promise.all(settling);
    },
    cutNext(cut) {
      next = cut;
      once = false;
    },
    cutOnce(cut) {
      next = cut;
      once = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
