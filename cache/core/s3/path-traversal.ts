/**
 * Path traversal: keys with `..` segments. The cache treats a key as plain text and never changes it. Some S3 servers,
 * and proxies in front of them, resolve it like a path after the signature was verified. A key that would then escape
 * its bucket prefix or grant is therefore rejected.
 */

/** Whether `name` (a key, or the prefix of a list) is under `prefix`, with its dot segments resolved or not. */
export function staysUnder(prefix: string, name: string): boolean {
  if (!name.startsWith(prefix)) return false;
  if (!name.includes('..')) return true;
  // If the prefix ends within a segment, that segment must not be left either: `bob/../alice` is under `bo` as text only.
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const minDepth = folder === prefix ? 0 : 1;
  let depth = 0;
  let deepest = 0;
  for (const segment of name.slice(folder.length).split('/')) {
    // Empty segments do not count: a server that resolves dot segments may also merge slashes.
    if (segment === '..') depth -= 1;
    else if (segment !== '' && segment !== '.') depth += 1;
    deepest = Math.max(deepest, depth);
    if (depth < (deepest >= minDepth ? minDepth : 0)) return false;
  }
  return true;
}
