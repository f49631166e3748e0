/**
 * Keys with `..` in them. Here a key is only text, and stays as it is; but some S3 servers, and proxies on the way to
 * them, resolve it like a path, after the signature was checked. What would then lie outside of what may be read is not
 * asked for.
 */

/** Whether `name` (a key, or the prefix of a list) is under `prefix`, also for who resolves its dots. */
export function staysUnder(prefix: string, name: string): boolean {
  if (!name.startsWith(prefix)) return false;
  if (!name.includes('..')) return true;
  // Of a prefix that ends within a name, that name must not be left either: `bob/../alice` is under `bo` as text only.
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const least = folder === prefix ? 0 : 1;
  let depth = 0;
  let deepest = 0;
  for (const segment of name.slice(folder.length).split('/')) {
    // Empty ones count for nothing: whoever resolves dots may merge slashes too.
    if (segment === '..') depth -= 1;
    else if (segment !== '' && segment !== '.') depth += 1;
    deepest = Math.max(deepest, depth);
    if (depth < (deepest >= least ? least : 0)) return false;
  }
  return true;
}
