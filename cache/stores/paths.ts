/** Validates the only names that a store receives: chunk paths, and small objects under `_orca/`. Pure. */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';

const CHUNK = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/[0-9a-f]{64}\/(?:0|[1-9]\d{0,14})$/;
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
