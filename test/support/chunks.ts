/** Bodies, chunks and their metadata for tests. */
import { createCipheriv, createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { chunkAt, chunkIdentity, type Chunk } from '#cache/core/chunk.ts';
import { blockSizeFor, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';

/** One key stream for all patterns: each seed begins at another offset. It grows when a longer one is needed. */
let stream: Buffer = Buffer.alloc(0);
const MIN_STREAM_BYTES = 16 * 1024 * 1024;
/** A prime, so that patterns of two seeds are not shifted by a whole number of blocks. */
const SEED_STRIDE_BYTES = 104_729;
const MAX_OFFSET_BYTES = 4 * 1024 * 1024;
/** The patterns by seed and length: always the same view, so that what is derived from it (an MD5) can be kept with it. */
const patterns = new Map<string, Buffer>();

/**
 * Pseudo-random bytes, deterministic by seed: the key stream of a cipher, without a period, so that a comparison detects
 * a shifted or repeated piece. Tests share the memory and must not write to it.
 */
export function patternBytes(lengthBytes: number, seed = 1): Buffer {
  const name = `${seed}:${lengthBytes}`;
  const known = patterns.get(name);
  if (known !== undefined) return known;
  const from = (seed * SEED_STRIDE_BYTES) % MAX_OFFSET_BYTES;
  const to = from + lengthBytes;
  if (to > stream.length) stream = keyStream(Math.max(MIN_STREAM_BYTES, 2 ** Math.ceil(Math.log2(to))));
  const bytes = stream.subarray(from, to);
  patterns.set(name, bytes);
  return bytes;
}

function keyStream(lengthBytes: number): Buffer {
  const key = createHash('md5').update('pattern').digest();
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes));
}

export function metadataFor(chunk: Chunk, body: Uint8Array): ChunkMetadata {
  const blockSizeBytes = blockSizeFor(chunk.chunkSizeBytes);
  const blocks = Array.from({ length: Math.ceil(body.length / blockSizeBytes) }, (_, index) =>
    crc32(body.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes)),
  );
  return {
    lengthBytes: body.length,
    etag: chunk.object.etag,
    identity: chunkIdentity(chunk),
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
