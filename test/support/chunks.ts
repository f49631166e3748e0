/** Bodies, chunks and their metadata for tests. */
import { crc32 } from 'node:zlib';
import { chunkAt, type Chunk } from '#cache/core/chunk.ts';
import { blockSizeFor, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';

/** Bytes without a visible period, so that a comparison detects a shifted or repeated piece. */
export function patternBytes(lengthBytes: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let state = (seed * 2654435761) >>> 0;
  for (let at = 0; at < lengthBytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export function metadataFor(chunk: Chunk, body: Uint8Array): ChunkMetadata {
  const blockSizeBytes = blockSizeFor(chunk.chunkSizeBytes);
  const blocks = Array.from({ length: Math.ceil(body.length / blockSizeBytes) }, (_, index) =>
    crc32(body.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes)),
  );
  return {
    lengthBytes: body.length,
    etag: chunk.object.etag,
    crc32: crc32(body),
    blockSizeBytes,
    blockCrcs: Uint32Array.from(blocks),
  };
}

/** The only chunk of an object that consists of `body`. */
export function chunkFor(body: Uint8Array, name: string, etag = 'etag-1'): Chunk {
  return chunkAt(
    { originId: 'test', bucket: 'bucket', key: name, etag, sizeBytes: body.length },
    Math.max(body.length, 1),
    0,
  );
}

/** `body` in pieces of `pieceBytes`, as the segments of a fill contain it. */
export function piecesOf(body: Uint8Array, pieceBytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(body.length / pieceBytes) }, (_, index) =>
    body.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
}
