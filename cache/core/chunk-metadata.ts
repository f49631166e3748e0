/**
 * What is stored beside a chunk: its length, the object's ETag, a CRC-32 of the whole and one of every block, so that
 * a ranged read can be verified without reading the chunk.
 */
import { OrcaError } from './errors.ts';

export const METADATA_VERSION = 1;
/** At most 128 block values: 684 base64 characters, inside the 2 KB that S3 gives to all user metadata together. */
export const MAX_BLOCKS = 128;
export const MIN_BLOCK_BYTES = 64 * 1024;

export interface ChunkMetadata {
  readonly lengthBytes: number;
  readonly etag: string;
  readonly crc32: number;
  readonly blockSizeBytes: number;
  /** One CRC-32 a block, in order; the last block is shorter. */
  readonly blockCrcs: Uint32Array;
}

/** block = max(64 KiB, ceil(chunk size / 128)). */
export function blockSizeFor(chunkSizeBytes: number): number {
  return Math.max(MIN_BLOCK_BYTES, Math.ceil(chunkSizeBytes / MAX_BLOCKS));
}

export function blockCount(lengthBytes: number, blockSizeBytes: number): number {
  return Math.ceil(lengthBytes / blockSizeBytes);
}

/** Metadata as short string fields: S3 user metadata (`x-amz-meta-orca-*`) and the filesystem's trailer use the same. */
export function encodeMetadata(metadata: ChunkMetadata): Record<string, string> {
  const crcs = Buffer.alloc(metadata.blockCrcs.length * 4);
  metadata.blockCrcs.forEach((crc, index) => crcs.writeUInt32LE(crc, index * 4));
  return {
    'orca-version': String(METADATA_VERSION),
    'orca-length': String(metadata.lengthBytes),
    // An ETag may hold any byte that a header value may not; base64url always passes.
    'orca-etag': Buffer.from(metadata.etag, 'utf8').toString('base64url'),
    'orca-crc32': metadata.crc32.toString(16).padStart(8, '0'),
    'orca-block': String(metadata.blockSizeBytes),
    'orca-blocks': crcs.toString('base64'),
  };
}

/**
 * The inverse. `undefined` for a chunk without metadata (written by the original) or of a later format version;
 * throws `chunk_bad` where fields are there and contradict each other.
 */
export function decodeMetadata(fields: Readonly<Record<string, string | undefined>>): ChunkMetadata | undefined {
  if (fields['orca-version'] !== String(METADATA_VERSION)) return undefined;
  const lengthBytes = Number(fields['orca-length']);
  const blockSizeBytes = Number(fields['orca-block']);
  const crc32 = Number.parseInt(fields['orca-crc32'] ?? '', 16);
  const etag = fields['orca-etag'];
  const raw = Buffer.from(fields['orca-blocks'] ?? '', 'base64');
  if (
    !Number.isSafeInteger(lengthBytes) ||
    lengthBytes <= 0 ||
    !Number.isSafeInteger(blockSizeBytes) ||
    blockSizeBytes < MIN_BLOCK_BYTES ||
    !Number.isInteger(crc32) ||
    etag === undefined ||
    raw.length !== blockCount(lengthBytes, blockSizeBytes) * 4
  )
    throw new OrcaError('chunk_bad', 'the metadata of the stored chunk contradicts itself');
  const blockCrcs = new Uint32Array(raw.length / 4);
  for (let index = 0; index < blockCrcs.length; index++) blockCrcs[index] = raw.readUInt32LE(index * 4);
  return { lengthBytes, etag: Buffer.from(etag, 'base64url').toString('utf8'), crc32, blockSizeBytes, blockCrcs };
}
