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

/** One host for each bucket in virtual-hosted style, of which clients may name any number under a pattern. */
const MAX_HOSTS = 256;

export interface HostClients {
  /**
   * The client of `host[:port]`. Without a proxy it is returned synchronously, so that concurrent reads keep their
   * order.
   */
  of(host: string): RawClient | Promise<RawClient>;
  close(): void;
}

interface Host {
  client: RawClient | Promise<RawClient>;
  tunnel: Tunnel | undefined;
}

export function openHostClients(options: HostClientsOptions): HostClients {
  const { protocol, secureContext, connectTimeoutMs, maxIdle, env } = options;
  /** The least recently used is first. */
  const hosts = new Map<string, Host>();
  let closed = false;

  const openClient = (endpoint: string, authority?: string): RawClient => {
    const client = openRawClient({ endpoint, authority, secureContext, connectTimeoutMs, maxIdle });
    if (closed) client.close();
    return client;
  };
  const openTunnelled = async (proxy: URL, name: string): Promise<Host & { readonly client: RawClient }> => {
    const { port } = new URL(`${protocol}//${name}`);
    const target = port === '' ? `${name}:${protocol === 'https:' ? 443 : 80}` : name;
    const tunnel = await openTunnel({ proxy, target });
    if (closed) tunnel.close();
    return { client: openClient(`${protocol}//127.0.0.1:${tunnel.port}`, name), tunnel };
  };
  const openHost = (name: string): Host => {
    const endpoint = `${protocol}//${name}`;
    const proxy = env === undefined ? undefined : proxyFor(endpoint, env);
    if (proxy === undefined) return { client: openClient(endpoint), tunnel: undefined };
    const opening = openTunnelled(proxy, name);
    const host: Host = { client: opening.then(({ client }) => client), tunnel: undefined };
    opening.then(
      (opened) => Object.assign(host, opened),
      () => hosts.delete(name),
    );
    return host;
  };
  return {
    of(name) {
      const known = hosts.get(name);
      if (known !== undefined) {
        if (hosts.size > 1) {
          hosts.delete(name);
          hosts.set(name, known);
        }
        return known.client;
      }
      if (hosts.size >= MAX_HOSTS) closeOldest(hosts);
      const host = openHost(name);
      hosts.set(name, host);
      return host.client;
    },
    close() {
      closed = true;
      for (const host of hosts.values()) closeHost(host);
    },
  };
}

/** Closes the least recently used host without a request. */
function closeOldest(hosts: Map<string, Host>): void {
  for (const [name, host] of hosts) {
    if (host.client instanceof Promise || host.client.connections.active > 0) continue;
    hosts.delete(name);
    closeHost(host);
    return;
  }
}

function closeHost({ client, tunnel }: Host): void {
  if (!(client instanceof Promise)) client.close();
  tunnel?.close();
}
