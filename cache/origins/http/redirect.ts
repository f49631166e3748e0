/** Where a redirect may lead: the server of the bucket and the allowed hosts, never from https to http. Pure. */
import { OrcaError } from '#cache/core/errors.ts';

const STATUSES = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return STATUSES.has(status);
}

export interface RedirectRules {
  /** `host[:port]` of the bucket's base URL. */
  readonly host: string;
  /** As in the settings. */
  readonly redirectHosts: readonly string[];
}

/**
 * The URL that `location` names, relative to `from`. Throws `origin_unsupported` for a target that is not allowed, and
 * `not_found` for the redirect with which servers answer for a directory. Messages name the host only: path and query
 * may contain a signature.
 */
export function redirectTarget(from: URL, location: string | undefined, rules: RedirectRules, name: string): URL {
  // URL.parse, because the error of `new URL` would contain the location.
  const url = location === undefined ? null : URL.parse(location, from.href);
  if (url === null) throw new OrcaError('origin_unsupported', `the origin redirects ${name} without a usable Location`);
  const refused = (why: string): OrcaError =>
    new OrcaError('origin_unsupported', `the origin redirects ${name} to ${url.host}: ${why}`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('only http and https are followed');
  if (url.username !== '' || url.password !== '') throw refused('a URL with a user name or password is not followed');
  if (from.protocol === 'https:' && url.protocol === 'http:')
    throw refused('a redirect from https to http is not followed');
  if (url.host !== rules.host && !rules.redirectHosts.some((allowed) => matches(allowed, url)))
    throw refused('to allow this host, add it to origin.http.redirectHosts');
  if (url.host === from.host && url.pathname === `${from.pathname}/`)
    throw new OrcaError('not_found', `${name} is a directory at the origin`);
  url.hash = '';
  return url;
}

/** `allowed` is `host[:port]` or `*.suffix[:port]`; without a port, the default port of the URL's scheme. */
function matches(allowed: string, { hostname, port, protocol }: URL): boolean {
  const [, name = '', only = ''] = /^(.*?)(?::(\d+))?$/.exec(allowed.toLowerCase()) ?? [];
  const defaultPort = protocol === 'https:' ? '443' : '80';
  if ((only === '' ? defaultPort : only) !== (port === '' ? defaultPort : port)) return false;
  return name.startsWith('*.') ? hostname.endsWith(name.slice(1)) : hostname === name;
}
