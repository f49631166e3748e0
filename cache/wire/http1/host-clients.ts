/** Raw clients by host, each direct or through the HTTP proxy that the environment names for it. */
import type { SecureContext } from 'node:tls';
import { proxyFor, type Env } from './proxy.ts';
import { openRawClient, type RawClient } from './raw-client.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';

export interface HostClientsOptions {
  /** `http:` or `https:`. */
  readonly protocol: string;
  readonly secureContext: SecureContext | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly maxIdle?: number | undefined;
  /** The environment that names HTTP proxies. Default: no proxy. */
  readonly env?: Env | undefined;
}

export interface HostClients {
  /**
   * The client of `host[:port]`. Without a proxy it is returned synchronously, so that concurrent reads keep their
   * order.
   */
  of(host: string): RawClient | Promise<RawClient>;
  close(): void;
}

export function openHostClients(options: HostClientsOptions): HostClients {
  const { protocol, secureContext, connectTimeoutMs, maxIdle, env } = options;
  const clients = new Map<string, RawClient | Promise<RawClient>>();
  const tunnels: Tunnel[] = [];
  let closed = false;

  const open = (endpoint: string, authority?: string): RawClient => {
    const client = openRawClient({ endpoint, authority, secureContext, connectTimeoutMs, maxIdle });
    if (closed) client.close();
    return client;
  };
  const openTunnelled = async (proxy: URL, host: string): Promise<RawClient> => {
    const { port } = new URL(`${protocol}//${host}`);
    const target = port === '' ? `${host}:${protocol === 'https:' ? 443 : 80}` : host;
    const tunnel = await openTunnel({ proxy, target });
    tunnels.push(tunnel);
    if (closed) tunnel.close();
    return open(`${protocol}//127.0.0.1:${tunnel.port}`, host);
  };
  return {
    of(host) {
      const known = clients.get(host);
      if (known !== undefined) return known;
      const endpoint = `${protocol}//${host}`;
      const proxy = env === undefined ? undefined : proxyFor(endpoint, env);
      const client = proxy === undefined ? open(endpoint) : openTunnelled(proxy, host);
      clients.set(host, client);
      if (client instanceof Promise)
        client.then(
          (opened) => clients.set(host, opened),
          () => clients.delete(host),
        );
      return client;
    },
    close() {
      closed = true;
      for (const client of clients.values()) if (!(client instanceof Promise)) client.close();
      for (const tunnel of tunnels) tunnel.close();
    },
  };
}
