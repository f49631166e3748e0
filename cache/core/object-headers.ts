/** Headers that describe an object and are passed from the origin to clients. The cache sets all other headers itself. */

const EXACT = new Set([
  'content-type',
  'cache-control',
  'content-language',
  'content-disposition',
  'content-encoding',
  'expires',
  'x-amz-tagging-count',
  'x-amz-version-id',
  'x-amz-restore',
  'x-amz-expiration',
  'x-amz-mp-parts-count',
  'x-amz-storage-class',
]);
/** An object with a key of the client (SSE-C) is not served, so it has no headers. */
const PREFIXED =
  /^(?:x-amz-meta-|x-amz-server-side-encryption(?!-customer-)|x-amz-checksum-)[!#$%&'*+\-.^_`|~0-9a-z]*$/;
/** A valid field value (RFC 9110 §5.5). A line break would start another header. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** `name` is lower-case. */
export function isObjectHeader(name: string): boolean {
  return EXACT.has(name) || PREFIXED.test(name);
}

export function isHeaderValue(value: string): boolean {
  return VALUE.test(value);
}
