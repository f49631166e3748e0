/**
 * The trailer after a chunk's bytes in a file: the metadata fields as JSON, then a foot of fixed size with their length and
 * checksum. A file of exactly the chunk's length has no trailer: the original Orca wrote it. Pure.
 */
import { decodeMetadata, encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { crc32 } from '#cache/core/crc32.ts';
import { OrcaError } from '#cache/core/errors.ts';

/** Fields' length (4), fields' CRC-32 (4), format version (4), magic (8); numbers little-endian. */
export const FOOT_BYTES = 20;
const MAGIC = Buffer.from('ORCACHNK', 'latin1');
const FORMAT_VERSION = 1;
/** About 900 bytes with all block CRCs; the ETag may be long. */
const MAX_FIELDS_BYTES = 64 * 1024;

export function encodeTrailer(metadata: ChunkMetadata): Buffer {
  return trailerOf(encodeMetadata(metadata));
}

/** A trailer with arbitrary fields. */
export function trailerOf(metadata: Readonly<Record<string, string>>): Buffer {
  const fields = Buffer.from(JSON.stringify(metadata), 'utf8');
  const foot = Buffer.alloc(FOOT_BYTES);
  foot.writeUInt32LE(fields.length, 0);
  foot.writeUInt32LE(crc32(fields), 4);
  foot.writeUInt32LE(FORMAT_VERSION, 8);
  MAGIC.copy(foot, 12);
  return Buffer.concat([fields, foot]);
}

/** The length of the fields before this foot. Throws `chunk_bad` if the bytes are not a foot. */
export function fieldsLength(foot: Buffer): number {
  const lengthBytes = foot.length === FOOT_BYTES ? foot.readUInt32LE(0) : 0;
  if (
    !foot.subarray(12).equals(MAGIC) ||
    foot.readUInt32LE(8) !== FORMAT_VERSION ||
    lengthBytes === 0 ||
    lengthBytes > MAX_FIELDS_BYTES
  )
    throw new OrcaError('chunk_bad', 'the stored chunk is followed by bytes that are not a trailer');
  return lengthBytes;
}

export function decodeFields(fields: Buffer, foot: Buffer): ChunkMetadata | undefined {
  if (crc32(fields) !== foot.readUInt32LE(4))
    throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is corrupt');
  const parsed = parse(fields.toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is not a JSON object');
  const strings = Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return decodeMetadata(Object.fromEntries(strings));
}

/** Undefined for text that is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
