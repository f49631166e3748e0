/** Removes signatures, credentials and tokens from a request target or URL, whichever way their names are encoded. Pure. */

/** SigV4, SigV2, SAS and common bearer parameters, in lower case. */
const SECRET = new Set([
  'access_token',
  'awsaccesskeyid',
  'sig',
  'signature',
  'token',
  'x-amz-credential',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-server-side-encryption-customer-key',
]);
const REDACTED = '[redacted]';

export function redactTarget(target: string): string {
  const start = target.indexOf('?');
  if (start < 0) return withoutUser(target);
  const pairs = target
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const name = equals < 0 ? pair : pair.slice(0, equals);
      return equals >= 0 && SECRET.has(decoded(name).toLowerCase()) ? `${name}=${REDACTED}` : pair;
    });
  return `${withoutUser(target.slice(0, start))}?${pairs.join('&')}`;
}

/** `https://user:password@host/`, as in a Referer. */
function withoutUser(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, `$1${REDACTED}@`);
}

/** A name that is not percent-encoded UTF-8 is not one that the cache understands either. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
