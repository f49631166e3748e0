/**
 * Which HTTP proxy the way to a server leads through, by the environment's usual words: HTTPS_PROXY, HTTP_PROXY and
 * NO_PROXY, the small-letter forms first. Replicas never talk to each other through one. Pure.
 */
import { BlockList, isIP } from 'node:net';

export type Env = Readonly<Record<string, string | undefined>>;

/** The proxy's URL; undefined = the straight way. Throws a RangeError for a proxy that is no http(s) URL. */
export function proxyFor(endpoint: string, env: Env): URL | undefined {
  const { protocol, hostname, port } = new URL(endpoint);
  const word = (name: string): string => (env[name.toLowerCase()] ?? env[name] ?? '').trim();
  const proxy = word(protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  const host = hostname.replace(/^\[|\]$/g, '');
  if (proxy === '' || isExempt(host, port === '' ? (protocol === 'https:' ? '443' : '80') : port, word('NO_PROXY')))
    return undefined;
  const url = URL.parse(proxy.includes('://') ? proxy : `http://${proxy}`);
  // Nothing of the value is shown: it may hold a password.
  if (url === null || url.protocol !== 'http:')
    throw new RangeError('HTTPS_PROXY and HTTP_PROXY must be http:// URLs of a proxy');
  return url;
}

/** NO_PROXY: `*`, host names with all below them, `host:port`, addresses, and IPv4 or IPv6 networks. */
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
