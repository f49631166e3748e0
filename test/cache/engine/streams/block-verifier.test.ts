import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkMetadata } from '#cache/core/chunk-metadata.ts';
import { BlockVerifier } from '#cache/engine/streams/block-verifier.ts';

function metadataOf(bytes: Uint8Array, blockSizeBytes: number): ChunkMetadata {
  const blocks = Math.ceil(bytes.length / blockSizeBytes);
  const blockCrcs = Uint32Array.from({ length: blocks }, (_, i) =>
    crc32(bytes.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes)),
  );
  return { lengthBytes: bytes.length, etag: 'e', crc32: crc32(bytes), blockSizeBytes, blockCrcs };
}

const read = fc
  .record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    blockSizeBytes: fc.integer({ min: 1, max: 40 }),
    cut: fc.tuple(fc.nat(200), fc.nat(200)),
    pieces: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 }),
  })
  .map(({ cut, ...rest }) => {
    const [a, b] = cut.map((at) => at % (rest.bytes.length + 1)) as [number, number];
    return { ...rest, range: { from: Math.min(a, b), to: Math.max(a, b) } };
  })
  .filter(({ range }) => range.to > range.from);

/** Feeds the range piece by piece; yields how far bytes may leave after each piece. */
function* feed(verifier: BlockVerifier, bytes: Uint8Array, range: { from: number; to: number }, pieces: number[]) {
  const sizes = [...pieces, bytes.length];
  for (let at = range.from; at < range.to;) {
    const to = Math.min(at + (sizes.shift() ?? bytes.length), range.to);
    yield { arrivedTo: to, readyTo: verifier.take(bytes.subarray(at, to)) };
    at = to;
  }
}

test('all valid bytes leave, never before they arrived, and whole blocks only at their end', () => {
  fc.assert(
    fc.property(read, ({ bytes, blockSizeBytes, range, pieces }) => {
      const verifier = new BlockVerifier(metadataOf(bytes, blockSizeBytes), range);
      let last = range.from;
      for (const { arrivedTo, readyTo } of feed(verifier, bytes, range, pieces)) {
        expect(readyTo).toBeLessThanOrEqual(arrivedTo);
        const block = Math.floor(readyTo / blockSizeBytes) * blockSizeBytes;
        const covered = block >= range.from && Math.min(block + blockSizeBytes, bytes.length) <= range.to;
        if (covered && readyTo < range.to) expect(readyTo).toBe(block);
        last = readyTo;
      }
      expect(last).toBe(range.to);
    }),
  );
});

test('a flipped byte in a block that is read whole is detected before any byte of the block leaves', () => {
  fc.assert(
    fc.property(read, fc.nat(), ({ bytes, blockSizeBytes, range, pieces }, where) => {
      const metadata = metadataOf(bytes, blockSizeBytes);
      const at = range.from + (where % (range.to - range.from));
      const block = Math.floor(at / blockSizeBytes) * blockSizeBytes;
      const covered = block >= range.from && Math.min(block + blockSizeBytes, bytes.length) <= range.to;
      const flipped = Uint8Array.from(bytes);
      flipped[at]! ^= 1;
      const verifier = new BlockVerifier(metadata, range);
      let readyTo = range.from;
      const run = () => {
        for (const step of feed(verifier, flipped, range, pieces)) readyTo = step.readyTo;
      };
      if (!covered) return run();
      expect(run).toThrow(expect.objectContaining({ code: 'chunk_bad' }));
      expect(readyTo).toBeLessThanOrEqual(block);
      return undefined;
    }),
  );
});
