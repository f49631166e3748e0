/**
 * The metadata stored with each chunk: which chunk it is, its length, the ETag of its object, a CRC-32 of the chunk, and
 * one CRC-32 per block. The block CRCs allow a ranged read to be verified without reading the whole chunk. The identity
 * exposes a chunk that was copied, restored or written under another chunk's name: its bytes match its CRCs.
 */
import { OrcaError } from './errors.ts';

export const METADATA_VERSION = 1;
/** 128 block CRCs are 684 base64 characters, within the 2 KB that S3 allows for all user metadata. */
export const MAX_BLOCKS = 128;
export const MIN_BLOCK_BYTES = 64 * 1024;

export interface ChunkMetadata {
  readonly lengthBytes: number;
  readonly etag: string;
  /** `chunkIdentity` of the chunk; undefined for chunks of releases that did not store it. */
  readonly identity?: string;
  readonly crc32: number;
  readonly blockSizeBytes: number;
  /** One CRC-32 per block, in order; the last block may be shorter. */
  readonly blockCrcs: Uint32Array;
}

/** The block size: max(64 KiB, ceil(chunk size / 128)). */
export function blockSizeFor(chunkSizeBytes: number): number {
  return Math.max(MIN_BLOCK_BYTES, Math.ceil(chunkSizeBytes / MAX_BLOCKS));
}

export function blockCount(lengthBytes: number, blockSizeBytes: number): number {
  return Math.ceil(lengthBytes / blockSizeBytes);
}

/** The names of the fields of `encodeMetadata`. */
export const METADATA_FIELDS = [
  'orca-version',
  'orca-length',
  'orca-etag',
  'orca-chunk',
  'orca-crc32',
  'orca-block',
  'orca-blocks',
] as const;

/** Encodes metadata as string fields, for S3 user metadata (`x-amz-meta-orca-*`) and for the trailer of chunk files. */
export function encodeMetadata(metadata: ChunkMetadata): Record<string, string> {
  const crcs = Buffer.alloc(metadata.blockCrcs.length * 4);
  metadata.blockCrcs.forEach((crc, index) => crcs.writeUInt32LE(crc, index * 4));
  return {
    'orca-version': String(METADATA_VERSION),
    'orca-length': String(metadata.lengthBytes),
    // An ETag may contain bytes that are not allowed in a header value; base64url is always safe.
    'orca-etag': Buffer.from(metadata.etag, 'utf8').toString('base64url'),
    // Not a new version: replicas of a release that does not know the field ignore it, and still verify the CRCs.
    ...(metadata.identity !== undefined && { 'orca-chunk': metadata.identity }),
    'orca-crc32': metadata.crc32.toString(16).padStart(8, '0'),
    'orca-block': String(metadata.blockSizeBytes),
    'orca-blocks': crcs.toString('base64'),
  };
}

/**
 * Decodes the fields of `encodeMetadata`. Returns undefined for a chunk without metadata (written by the original Orca,
 * the cache in Go whose chunk format this project uses) or of another format version. Throws `chunk_bad` if the fields
 * are inconsistent.
 */
export function decodeMetadata(fields: Readonly<Record<string, string | undefined>>): ChunkMetadata | undefined {
  if (fields['orca-version'] !== String(METADATA_VERSION)) return undefined;
  const lengthBytes = Number(fields['orca-length']);
  const blockSizeBytes = Number(fields['orca-block']);
  const crc32 = Number.parseInt(fields['orca-crc32'] ?? '', 16);
  const etag = fields['orca-etag'];
  const identity = fields['orca-chunk'];
  const blocks = fields['orca-blocks'] ?? '';
  if (
    !Number.isSafeInteger(lengthBytes) ||
    lengthBytes <= 0 ||
    !Number.isSafeInteger(blockSizeBytes) ||
    blockSizeBytes < MIN_BLOCK_BYTES ||
    blockCount(lengthBytes, blockSizeBytes) > MAX_BLOCKS ||
    !Number.isInteger(crc32) ||
    etag === undefined
  )
    throw inconsistent();
  const blockCrcs = decodeCrcs(blocks, blockCount(lengthBytes, blockSizeBytes));
  return {
    lengthBytes,
    etag: Buffer.from(etag, 'base64url').toString('utf8'),
    ...(identity !== undefined && { identity }),
    crc32,
    blockSizeBytes,
    blockCrcs,
  };
}

const IS_BIG_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;

/** Each read of the store decodes up to 128 of them, so all at once: base64 into the memory of the array. */
function decodeCrcs(base64: string, count: number): Uint32Array {
  if (Buffer.byteLength(base64, 'base64') !== count * 4) throw inconsistent();
  const crcs = new Uint32Array(count);
  const bytes = Buffer.from(crcs.buffer);
  if (bytes.write(base64, 'base64') !== bytes.length) throw inconsistent();
  // They are stored in little-endian order.
  if (IS_BIG_ENDIAN) bytes.swap32();
  return crcs;
}

function inconsistent(): OrcaError {
  return new OrcaError('chunk_bad', 'the metadata of the stored chunk is inconsistent');
}
