/**
 * The trailer behind a chunk's bytes in a file: the metadata's fields as JSON, then a fixed foot that says how long they
 * are and whether they are whole. A file of exactly the chunk's length has none: the original wrote it. Pure.
 */
import { crc32 } from 'node:zlib';
import { decodeMetadata, encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';

/** Fields' length (4), fields' CRC-32 (4), format version (4), magic (8); numbers little-endian. */
export const FOOT_BYTES = 20;
const MAGIC = Buffer.from('ORCACHNK', 'latin1');
const FORMAT_VERSION = 1;
/** Some 900 bytes with all block CRCs; the ETag may be long. */
const MAX_FIELDS_BYTES = 64 * 1024;

export function encodeTrailer(metadata: ChunkMetadata): Buffer {
  return trailerOf(encodeMetadata(metadata));
}

/** A trailer of any fields. */
export function trailerOf(metadata: Readonly<Record<string, string>>): Buffer {
  const fields = Buffer.from(JSON.stringify(metadata), 'utf8');
  const foot = Buffer.alloc(FOOT_BYTES);
  foot.writeUInt32LE(fields.length, 0);
  foot.writeUInt32LE(crc32(fields), 4);
  foot.writeUInt32LE(FORMAT_VERSION, 8);
  MAGIC.copy(foot, 12);
  return Buffer.concat([fields, foot]);
}

/** How long the fields before this foot are; `chunk_bad` if it is no foot of ours. */
export function fieldsLength(foot: Buffer): number {
  const lengthBytes = foot.length === FOOT_BYTES ? foot.readUInt32LE(0) : 0;
  if (
    !foot.subarray(12).equals(MAGIC) ||
    foot.readUInt32LE(8) !== FORMAT_VERSION ||
    lengthBytes === 0 ||
    lengthBytes > MAX_FIELDS_BYTES
  )
    throw new OrcaError('chunk_bad', 'the stored chunk has bytes behind it that are no trailer');
  return lengthBytes;
}

export function decodeFields(fields: Buffer, foot: Buffer): ChunkMetadata | undefined {
  if (crc32(fields) !== foot.readUInt32LE(4))
    throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is damaged');
  const parsed: unknown = JSON.parse(fields.toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null)
    throw new OrcaError('chunk_bad', 'the trailer of the stored chunk is no object');
  const strings = Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return decodeMetadata(Object.fromEntries(strings));
}
