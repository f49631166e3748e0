/**
 * Selects the HTTP proxy for an endpoint from the usual environment variables: HTTPS_PROXY, HTTP_PROXY and NO_PROXY,
 * lower-case forms first. Traffic between replicas never uses a proxy. Pure.
 */
import { BlockList, isIP } from 'node:net';
import { withoutBrackets } from '#shared/host-name.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** The proxy's URL; undefined = no proxy. Throws a RangeError for a proxy that is not an http:// URL. */
export function proxyFor(endpoint: string, env: Env): URL | undefined {
  const { protocol, hostname, port } = new URL(endpoint);
  const variable = (name: string): string => (env[name.toLowerCase()] ?? env[name] ?? '').trim();
  const proxy = variable(protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  const host = withoutBrackets(hostname);
  if (proxy === '' || isExempt(host, port === '' ? (protocol === 'https:' ? '443' : '80') : port, variable('NO_PROXY')))
    return undefined;
  const url = URL.parse(proxy.includes('://') ? proxy : `http://${proxy}`);
  // The message shows nothing of the value: it may contain a password.
  if (url === null || url.protocol !== 'http:') throw new RangeError('HTTPS_PROXY and HTTP_PROXY must be http:// URLs');
  return url;
}

/** NO_PROXY: `*`, host names (which include their subdomains), `host:port`, addresses, and IPv4 or IPv6 networks. */
function isExempt(host: string, port: string, noProxy: string): boolean {
  const family = isIP(host);
  return noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [network = '', bits] = entry.split('/');
      if (bits !== undefined) return family !== 0 && isIP(network) === family && contains(network, Number(bits), host);
      if (isIP(entry) !== 0) return entry === host;
      const [, name = '', only] = /^\*?\.?([^:]*)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
      if (name === '' || (only !== undefined && only !== port)) return false;
      return host === name || host.endsWith(`.${name}`);
    });
}

function contains(network: string, bits: number, host: string): boolean {
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 'ipv6' ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, family);
  return list.check(host, family);
}
