/** The result of reading the tree with a client, and the expected one: lists, whole objects and ranges. */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { RANGES, sha256, TREE } from './tree.ts';

export interface Reading {
  /** All keys, from a recursive list. */
  readonly listed: readonly string[];
  /** SHA-256 of each object, read whole. */
  readonly whole: Readonly<Record<string, string>>;
  /** SHA-256 of each of `RANGES`. */
  readonly ranges: readonly string[];
}

export const EXPECTED: Reading = {
  listed: TREE.map(({ key }) => key).toSorted(),
  whole: Object.fromEntries(TREE.map((object) => [object.key, object.sha256])),
  ranges: RANGES.map(([key, from, to]) => {
    const object = TREE.find((candidate) => candidate.key === key);
    if (object === undefined) throw new Error(`${key} is not in the tree`);
    return sha256(object.body.subarray(from, to));
  }),
};

/** Reads the ranges one after the other; `read` returns the bytes `[from, to)`. */
export async function readRanges(read: (key: string, from: number, to: number) => Promise<Uint8Array>) {
  const hashes: string[] = [];
  for (const [key, from, to] of RANGES) hashes.push(sha256(await read(key, from, to)));
  return hashes;
}

/** SHA-256 of each file below a directory, by relative path. */
export async function filesIn(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = await Promise.all(
    files.map(async (path) => [relative(root, path), sha256(await readFile(path))] as const),
  );
  return Object.fromEntries(pairs);
}

export function linesOf(output: Buffer): string[] {
  return output.toString().trimEnd().split('\n');
}
