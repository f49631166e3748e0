/** The checks of a stored chunk before its bytes count, and the comparison of two writers' chunks. Pure. */
import { blockSizeFor, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { chunkIdentity, type Chunk } from '#cache/core/chunk.ts';
import { OrcaError } from '#cache/core/errors.ts';

/** Throws `chunk_bad` unless length and metadata match the chunk; without metadata only the length is compared. */
export function checkStored(chunk: Chunk, lengthBytes: number, metadata: ChunkMetadata | undefined): void {
  if (lengthBytes !== chunk.lengthBytes)
    throw new OrcaError(
      'chunk_bad',
      `${chunk.path} is stored with ${lengthBytes} instead of ${chunk.lengthBytes} bytes`,
    );
  if (metadata === undefined) return;
  if (metadata.lengthBytes !== chunk.lengthBytes)
    throw new OrcaError('chunk_bad', `the metadata of ${chunk.path} contain a length of ${metadata.lengthBytes} bytes`);
  if (metadata.etag !== chunk.object.etag)
    throw new OrcaError('chunk_bad', `the metadata of ${chunk.path} contain another ETag`);
  if (metadata.identity !== undefined && metadata.identity !== chunkIdentity(chunk))
    throw new OrcaError('chunk_bad', `another chunk is stored as ${chunk.path}: ${metadata.identity}`);
  // The chunk size is part of the path's hash. Readers rely on it: a longer block might not fit into their memory.
  const blockSizeBytes = blockSizeFor(chunk.chunkSizeBytes);
  if (metadata.blockSizeBytes !== blockSizeBytes)
    throw new OrcaError(
      'chunk_bad',
      `the metadata of ${chunk.path} contain blocks of ${metadata.blockSizeBytes} instead of ${blockSizeBytes} bytes`,
    );
}

/** Whether the stored chunk is the one that we would have written. A release before this one stored no identity. */
export function isSameChunk(ours: ChunkMetadata, lengthBytes: number, theirs: ChunkMetadata | undefined): boolean {
  return (
    theirs !== undefined &&
    lengthBytes === ours.lengthBytes &&
    theirs.crc32 === ours.crc32 &&
    theirs.etag === ours.etag &&
    (theirs.identity ?? ours.identity) === ours.identity &&
    // Wrong ones would make every reader reject the chunk.
    theirs.blockSizeBytes === ours.blockSizeBytes &&
    theirs.blockCrcs.every((crc, block) => crc === ours.blockCrcs[block])
  );
}

/** Throws unless the pieces have the chunk's length, so that a wrong chunk never reaches the store. */
export function checkPieces(chunk: Chunk, metadata: ChunkMetadata, pieces: readonly Uint8Array[]): void {
  const lengthBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (lengthBytes !== chunk.lengthBytes || metadata.lengthBytes !== chunk.lengthBytes)
    throw new OrcaError(
      'internal',
      `the commit of ${chunk.path} has ${lengthBytes} instead of ${chunk.lengthBytes} bytes`,
    );
}
