import { assert, constantFrom, nat, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFields, encodeTrailer, fieldsLength, FOOT_BYTES } from '#cache/stores/filesystem/trailer.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';

const metadata: ChunkMetadata = {
  lengthBytes: 200_000,
  etag: 'e"1\u0001é',
  crc32: 0xdeadbeef,
  blockSizeBytes: 65_536,
  blockCrcs: Uint32Array.of(1, 2, 3, 0xffffffff),
};

function decode(trailer: Buffer): ChunkMetadata | undefined {
  const foot = trailer.subarray(-FOOT_BYTES);
  const lengthBytes = fieldsLength(foot);
  return decodeFields(trailer.subarray(0, lengthBytes), foot);
}

test('decodes the metadata of an encoded trailer', () => {
  assert(
    property(string({ minLength: 1 }), nat(0xffffffff), (etag, crc32) => {
      expect(decode(encodeTrailer({ ...metadata, etag, crc32 }))).toEqual({ ...metadata, etag, crc32 });
    }),
  );
});

test('detects any flipped bit', () => {
  const good = encodeTrailer(metadata);
  assert(
    property(nat(good.length - 1), constantFrom(1, 2, 4, 8, 16, 32, 64, 128), (at, bit) => {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ bit;
      expect(() => decode(bad)).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
    }),
    { numRuns: 500 },
  );
});

test('rejects bytes that are not a foot', () => {
  expect(() => fieldsLength(Buffer.alloc(FOOT_BYTES))).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
  expect(() => fieldsLength(Buffer.from('ORCACHNK'))).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
});
