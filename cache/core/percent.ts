/** Percent-encoding as in S3 signatures: encodes everything except the unreserved characters of RFC 3986 §2.3. */

/** Throws a URIError for a lone surrogate, which has no UTF-8 encoding. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const ENCODED_AS_IT_IS = /^[A-Za-z0-9._~/-]*$/;

/** Like `encodeRfc3986`, but keeps slashes. */
export function encodePath(path: string): string {
  if (ENCODED_AS_IT_IS.test(path)) return path;
  return encodeRfc3986(path).replaceAll('%2F', '/');
}
