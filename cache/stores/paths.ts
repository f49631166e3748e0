/** The only names that a store ever sees: chunk paths and small objects under `_orca/`. Pure. */
import type { Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';

const CHUNK = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/[0-9a-f]{64}\/(?:0|[1-9]\d{0,14})$/;
const SMALL = /^_orca(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,250}){1,8}$/;

/** The chunk's path; throws on one that could lead elsewhere. */
export function chunkKey(chunk: Pick<Chunk, 'path'>): string {
  if (!CHUNK.test(chunk.path)) throw new OrcaError('internal', `${JSON.stringify(chunk.path)} is no chunk path`);
  return chunk.path;
}

export function smallKey(name: string): string {
  if (!SMALL.test(name)) throw new OrcaError('internal', `${JSON.stringify(name)} is no name under _orca/`);
  return name;
}
