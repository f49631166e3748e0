/** Parses and formats listen addresses: `host:port`, or `[ip]:port` for IPv6. */
import type { ListenAddress } from './config.ts';

const MAX_PORT = 65_535;

/** Returns undefined if `text` is not an address. The host has no brackets. */
export function parseAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[(?<ip6>[0-9A-Fa-f:.]+)\]|(?<host>[^:[\]\s]+)):(?<port>[0-9]{1,5})$/.exec(text);
  const host = match?.groups?.['ip6'] ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  return host === undefined || port > MAX_PORT ? undefined : { host, port };
}

/** Where a listener on `host` can be reached on its own machine: a wildcard cannot be connected to. */
export function connectableHost(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}

export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
