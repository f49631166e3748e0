import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blockCount,
  blockSizeFor,
  decodeMetadata,
  encodeMetadata,
  MAX_BLOCKS,
  type ChunkMetadata,
} from '#cache/core/chunk-metadata.ts';
import { codePoint } from '#test/support/fuzz.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const metadata = fc
  .record({
    lengthBytes: fc.integer({ min: 1, max: 1024 * MIB }),
    etag: fc.string({ unit: codePoint, minLength: 1 }).filter((text) => text.isWellFormed()),
    identity: fc.constantFrom(`${'0a'.repeat(32)}/0`, `${'f9'.repeat(32)}/999999999999999`),
    crc32: fc.nat(0xffffffff),
  })
  .map((base): ChunkMetadata => {
    const blockSizeBytes = blockSizeFor(base.lengthBytes);
    const blockCrcs = Uint32Array.from(
      { length: blockCount(base.lengthBytes, blockSizeBytes) },
      (_, i) => i * 7_777_777,
    );
    return { ...base, blockSizeBytes, blockCrcs };
  });

test('is decoded to what was encoded, and its fields fit within the 2 KB of ASCII that S3 allows', () => {
  fc.assert(
    fc.property(metadata, (before) => {
      const fields = encodeMetadata(before);
      expect(decodeMetadata(fields)).toEqual(before);
      for (const value of Object.values(fields)) expect(value).toMatch(/^[\x21-\x7e]*$/);
      expect(before.blockCrcs.length).toBeLessThanOrEqual(MAX_BLOCKS);
      expect(fields['orca-blocks']!.length).toBeLessThanOrEqual(684);
    }),
  );
});

test('the fields of the largest chunk of an object with a long ETag fit into the 2 KB that S3 allows for all of them', () => {
  const fields = encodeMetadata({
    lengthBytes: 1024 * MIB,
    etag: 'e'.repeat(800),
    identity: `${'0'.repeat(64)}/${'9'.repeat(15)}`,
    crc32: 0xffffffff,
    blockSizeBytes: 8 * MIB,
    blockCrcs: new Uint32Array(MAX_BLOCKS),
  });
  expect(Object.entries(fields).flat().join('').length).toBeLessThanOrEqual(2048);
});

test.for([
  [MIB, 64 * KIB],
  [8 * MIB, 64 * KIB],
  [64 * MIB, 512 * KIB],
  [128 * MIB, MIB],
  [100 * MIB + 1, 819_201],
] as const)('chunks of %i bytes have blocks of %i bytes', ([chunkSize, blockSize]) => {
  expect(blockSizeFor(chunkSize)).toBe(blockSize);
});

describe('stored fields', () => {
  const good = encodeMetadata({
    lengthBytes: 100_000,
    etag: 'e',
    crc32: 1,
    blockSizeBytes: 64 * KIB,
    blockCrcs: Uint32Array.of(1, 2),
  });

  test('without metadata or of another version decode to undefined', () => {
    expect(decodeMetadata({})).toBeUndefined();
    expect(decodeMetadata({ ...good, 'orca-version': '2' })).toBeUndefined();
  });

  test('without an identity are decoded without one, and an older release ignores it', () => {
    expect(decodeMetadata(good)).not.toHaveProperty('identity');
    expect(good).not.toHaveProperty('orca-chunk');
    const { 'orca-chunk': identity, ...rest } = encodeMetadata({ ...decodeMetadata(good)!, identity: 'hash/1' });
    // An older release reads exactly these fields, by the same version.
    expect([identity, rest]).toEqual(['hash/1', good]);
  });

  test('with more than 128 blocks are rejected as inconsistent', () => {
    const lengthBytes = 129 * 64 * KIB;
    const blockCrcs = new Uint32Array(129);
    const fields = encodeMetadata({ ...decodeMetadata(good)!, lengthBytes, blockCrcs });
    expect(() => decodeMetadata(fields)).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
  });

  test.for<[string, string]>([
    ['orca-length', '0'],
    ['orca-length', '-5'],
    ['orca-length', 'x'],
    ['orca-length', '900000'],
    ['orca-block', '1000'],
    ['orca-block', ''],
    ['orca-crc32', 'zz'],
    ['orca-blocks', 'AAAA'],
    ['orca-blocks', ''],
  ])('with %s = "%s" are rejected as inconsistent', ([name, value]) => {
    expect(() => decodeMetadata({ ...good, [name]: value })).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
  });
});
