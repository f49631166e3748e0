/** Percent-encoding as S3 means it (RFC 3986 §2.3): UTF-8, and everything but unreserved characters. Pure. */

/** Throws a URIError for a lone surrogate, which has no UTF-8. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The same of a path: slashes stay. */
export function encodePath(path: string): string {
  return encodeRfc3986(path).replaceAll('%2F', '/');
}
