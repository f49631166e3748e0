/** Which headers describe an object itself, and so may be handed from its origin to clients; all else is ours to say. */

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
const PREFIXED = /^(?:x-amz-meta-|x-amz-server-side-encryption|x-amz-checksum-)[!#$%&'*+\-.^_`|~0-9a-z]*$/;
/** What a header may hold (RFC 9110 §5.5): a line break would begin another one. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** `name` in lower case. */
export function isObjectHeader(name: string): boolean {
  return EXACT.has(name) || PREFIXED.test(name);
}

export function isHeaderValue(value: string): boolean {
  return VALUE.test(value);
}
