import { expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { checkStored, isSameChunk } from '#cache/stores/stored-chunk.ts';
import { metadataFor, patternBytes } from '#test/support/chunks.ts';

const LENGTH = 200_000;
const object = { originId: 'test', bucket: 'bucket', key: 'a', etag: 'e', sizeBytes: 2 * LENGTH };
const [chunk, next] = [chunkAt(object, LENGTH, 0), chunkAt(object, LENGTH, 1)];
const metadata = metadataFor(chunk, patternBytes(LENGTH));
const { identity: _, ...older } = metadata;

const WRONG: readonly (readonly [string, Partial<ChunkMetadata>])[] = [
  ['length', { lengthBytes: LENGTH - 1 }],
  ['ETag', { etag: 'other' }],
  ['identity', { identity: metadataFor(next, patternBytes(LENGTH)).identity! }],
  ['block size', { blockSizeBytes: 2 * metadata.blockSizeBytes }],
];

test('a chunk with its metadata is accepted, and so is one without metadata or identity', () => {
  for (const stored of [metadata, older, undefined]) expect(() => checkStored(chunk, LENGTH, stored)).not.toThrow();
});

test('a chunk of another length is bad, with and without metadata', () => {
  for (const stored of [metadata, undefined])
    expect(() => checkStored(chunk, LENGTH + 1, stored)).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
});

test.for(WRONG)('metadata with another %s make a chunk bad', ([, change]) => {
  expect(() => checkStored(chunk, LENGTH, { ...metadata, ...change })).toThrow(
    expect.objectContaining({ code: 'chunk_bad' }),
  );
});

test('a stored chunk is the same with equal metadata, and if only its identity is missing', () => {
  expect(isSameChunk(metadata, LENGTH, { ...metadata })).toBe(true);
  expect(isSameChunk(metadata, LENGTH, older)).toBe(true);
});

test.for<readonly [string, number, Partial<ChunkMetadata>]>([
  ['length', LENGTH - 1, {}],
  ['ETag', LENGTH, { etag: 'other' }],
  ['CRC', LENGTH, { crc32: metadata.crc32 ^ 1 }],
  ['identity', LENGTH, { identity: 'hash/1' }],
  ['block size', LENGTH, { blockSizeBytes: 2 * metadata.blockSizeBytes }],
  ['block CRC', LENGTH, { blockCrcs: metadata.blockCrcs.map((crc, index) => (index === 2 ? crc ^ 1 : crc)) }],
])('a stored chunk with another %s is not the same', ([, lengthBytes, change]) => {
  expect(isSameChunk(metadata, lengthBytes, { ...metadata, ...change })).toBe(false);
});

test('a stored chunk without metadata is not the same', () => {
  expect(isSameChunk(metadata, LENGTH, undefined)).toBe(false);
});
