/** The checksum of uploads that S3 servers verify. */
export const CRC32 = 'x-amz-checksum-crc32';

export function base64Of(crc32: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32);
  return bytes.toString('base64');
}
