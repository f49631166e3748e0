/** Validates the only names that a store receives: chunk paths, and small objects under `_orca/`. Pure. */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { MAX_STORE_NAMES } from '#cache/engine/ports.ts';

/** Ledgers are the largest: their records are limited accordingly. Anything larger was written by another program. */
export const MAX_SMALL_BYTES = 4 * 1024 * 1024;

const CHUNK = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/[0-9a-f]{64}\/(?:0|[1-9]\d{0,14})$/;
const CHUNKS = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/[0-9a-f]{0,64}$/;
const SMALLS = /^_orca\/(?!.*(?:\.\.|\/\/|\/\.))[A-Za-z0-9._/-]{0,1000}$/;
const SMALL = /^_orca(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,250}){1,8}$/;

/** Returns the chunk's path; throws for one that could escape its directory. */
export function chunkKey(chunk: Pick<Chunk, 'path'>): string {
  if (!CHUNK.test(chunk.path)) throw new OrcaError('internal', `${JSON.stringify(chunk.path)} is not a chunk path`);
  return chunk.path;
}

export function smallKey(name: string): string {
  if (!SMALL.test(name)) throw new OrcaError('internal', `${JSON.stringify(name)} is not a name under _orca/`);
  return name;
}

/** The name of a chunk or of a small object. */
export function storedKey(name: string): string {
  if (!CHUNK.test(name) && !SMALL.test(name))
    throw new OrcaError('internal', `${JSON.stringify(name)} is neither a chunk path nor a name under _orca/`);
  return name;
}

/** Returns the names of a call of `remove`. */
export function removableNames(names: readonly string[]): readonly string[] {
  if (names.length > MAX_STORE_NAMES)
    throw new OrcaError('internal', `${names.length} names are more than can be removed at once`);
  for (const name of names) storedKey(name);
  return names;
}

/** What names to list begin with. */
export function listPrefix(prefix: string): string {
  if (!CHUNKS.test(prefix) && !SMALLS.test(prefix))
    throw new OrcaError('internal', `${JSON.stringify(prefix)} is not a prefix of chunks or of names under _orca/`);
  return prefix;
}
