import { assert, constantFrom, dictionary, json, nat, oneof, property, string } from 'fast-check';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeFields, encodeTrailer, fieldsLength, FOOT_BYTES, trailerOf } from '#cache/stores/filesystem/trailer.ts';
import { blockCount, encodeMetadata, type ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { OrcaError } from '#cache/core/errors.ts';
import { nasty } from '#test/support/fuzz.ts';

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

test.for(['', '[]', '["orca-version"]', 'null', '7', '{', '"orca"'])(
  'fields %j with a valid CRC are a bad chunk',
  (text) => {
    const fields = Buffer.from(text);
    const foot = Buffer.alloc(FOOT_BYTES);
    foot.writeUInt32LE(crc32(fields), 4);
    expect(() => decodeFields(fields, foot)).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
  },
);

test('any fields are metadata with consistent blocks, no metadata, or a bad chunk', () => {
  const good = encodeMetadata({ ...metadata, identity: 'hash/0' });
  const value = oneof(nasty('1', '-', 'e9', '0x', '/', '='), json({ maxDepth: 1 }));
  assert(
    property(dictionary(constantFrom(...Object.keys(good)), value, { maxKeys: 3 }), (changes) => {
      let decoded: ChunkMetadata | undefined;
      try {
        decoded = decode(trailerOf({ ...good, ...changes }));
      } catch (error) {
        expect(error).toBeInstanceOf(OrcaError);
        expect(error).toMatchObject({ code: 'chunk_bad' });
        return;
      }
      if (decoded === undefined) return;
      const { lengthBytes, blockSizeBytes, blockCrcs } = decoded;
      expect(Number.isSafeInteger(lengthBytes) && Number.isSafeInteger(blockSizeBytes)).toBe(true);
      expect(blockCrcs.length).toBe(blockCount(lengthBytes, blockSizeBytes));
    }),
    { numRuns: 500 },
  );
});
