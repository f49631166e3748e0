/** The cache that the clients read: two replicas, keys of its own, the tree in the origin. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { startReplicas, type Replicas } from '#test/support/replicas.ts';
import { sha256, TREE } from './tree.ts';

export const KEY = { accessKeyId: 'CLIENT', secretAccessKey: 'a-secret-of-the-edge' };
export const KEYS = TREE.map(({ key }) => key).toSorted();
export const WHOLE = Object.fromEntries(TREE.map((object) => [object.key, object.sha256]));

export interface World extends AsyncDisposable {
  readonly cache: Replicas;
  readonly endpoint: string;
  /** For what clients download. */
  readonly directory: string;
}

export async function startWorld(): Promise<World> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'orca-clients-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'keys.yaml'), JSON.stringify([KEY]));
  const cache = started.use(
    await startReplicas({ replicas: 2, changes: { 'edge.auth': { type: 'SigV4', directory } } }),
  );
  for (const { key, body } of TREE) await cache.put(key, body);
  const owned = started.move();
  return { cache, endpoint: cache.all[0]!.edge, directory, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** SHA-256 of what stands below a directory, by relative path. */
export async function filesIn(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = await Promise.all(
    files.map(async (path) => [relative(root, path), sha256(await readFile(path))] as const),
  );
  return Object.fromEntries(pairs);
}
