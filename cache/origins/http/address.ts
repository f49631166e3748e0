/** The URLs of a bucket's keys on an HTTP server. Pure. */
import { OrcaError } from '#cache/core/errors.ts';
import { encodePath } from '#cache/core/percent.ts';

/**
 * The key is appended to `baseUrl`, which ends with `/`, and only percent-encoded: empty segments and a trailing slash
 * are kept. Throws `bad_request` for keys that URLs cannot name: dot segments would be resolved and lead elsewhere.
 */
export function urlOf(baseUrl: string, key: string): URL {
  // A lone surrogate has no UTF-8 encoding: replacing it would request another key.
  if (!key.isWellFormed()) throw new OrcaError('bad_request', 'a key must be well-formed Unicode');
  if (key.split('/').some((segment) => segment === '.' || segment === '..'))
    throw new OrcaError('bad_request', "an HTTP origin cannot have keys with the segments '.' and '..'");
  return new URL(baseUrl + encodePath(key));
}

/** Whether a request to this URL may carry credentials: it is encrypted, or does not leave the machine. */
export function isConfidential({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname)
  );
}
