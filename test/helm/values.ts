/** The values of a chart as paths, and copies of value sets without one of them. */

export type Tree = { readonly [key: string]: unknown };
export type Path = readonly string[];

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every value that a user may set, including empty maps and lists. Maps named in `opaque` count as one value. */
export function* leaves(value: unknown, opaque: ReadonlySet<string>, path: Path = []): Generator<Path> {
  if (!isTree(value) || Object.keys(value).length === 0 || opaque.has(path.at(-1) ?? '')) yield path;
  else for (const [key, member] of Object.entries(value)) yield* leaves(member, opaque, [...path, key]);
}

export function has(tree: unknown, [first, ...rest]: Path): boolean {
  if (first === undefined) return true;
  return isTree(tree) && first in tree && has(tree[first], rest);
}

export function without(tree: Tree, [first = '', ...rest]: Path): Tree {
  const { [first]: member, ...others } = tree;
  return rest.length === 0 || !isTree(member) ? others : { ...others, [first]: without(member, rest) };
}
