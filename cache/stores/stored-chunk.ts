/** What every store checks of a stored chunk before one of its bytes counts, and of two writers' chunks. Pure. */
import type { Chunk } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';

/** Throws `chunk_bad` unless length and metadata fit the chunk; a chunk without metadata is judged by its length. */
export function checkStored(chunk: Chunk, lengthBytes: number, metadata: ChunkMetadata | undefined): void {
  if (lengthBytes !== chunk.lengthBytes)
    throw new OrcaError(
      'chunk_bad',
      `${chunk.path} is stored with ${lengthBytes} instead of ${chunk.lengthBytes} bytes`,
    );
  if (metadata === undefined) return;
  if (metadata.lengthBytes !== chunk.lengthBytes)
    throw new OrcaError('chunk_bad', `the metadata of ${chunk.path} speaks of ${metadata.lengthBytes} bytes`);
  if (metadata.etag !== chunk.object.etag)
    throw new OrcaError('chunk_bad', `the metadata of ${chunk.path} names another ETag`);
}

/** Whether what is stored is what we would have written. */
export function isSameChunk(ours: ChunkMetadata, lengthBytes: number, theirs: ChunkMetadata | undefined): boolean {
  return lengthBytes === ours.lengthBytes && theirs?.crc32 === ours.crc32 && theirs.etag === ours.etag;
}

/** The pieces' length, which must be the chunk's: a writer that is wrong here must not reach the store. */
export function checkPieces(chunk: Chunk, metadata: ChunkMetadata, pieces: readonly Uint8Array[]): void {
  const lengthBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (lengthBytes !== chunk.lengthBytes || metadata.lengthBytes !== chunk.lengthBytes)
    throw new OrcaError(
      'internal',
      `the commit of ${chunk.path} has ${lengthBytes} instead of ${chunk.lengthBytes} bytes`,
    );
}
