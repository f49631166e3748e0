import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkAt } from '#cache/core/chunk.ts';
import { ChunkHasher } from '#cache/engine/fill/chunk-hasher.ts';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { metadataFor } from '#test/support/chunks.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const LENGTH_BYTES = 3 * MIB + 12_345;

async function open() {
  const memory = new ChunkMemory({ budgetBytes: 8 * MIB, clock: fakeClock() });
  const bytes = new ChunkBytes(
    await memory.lease(LENGTH_BYTES, 'fill', 'new', new AbortController().signal),
    LENGTH_BYTES,
  );
  const body = patternBytes(LENGTH_BYTES);
  for (let at = 0; at < LENGTH_BYTES;) {
    const view = bytes.view(at, LENGTH_BYTES);
    view.set(body.subarray(at, at + view.length));
    at += view.length;
  }
  const object = { originId: 'test', bucket: 'b', key: 'k', etag: 'e', sizeBytes: LENGTH_BYTES };
  return { bytes, body, chunk: chunkAt(object, 8 * MIB, 0) };
}

test('the CRCs do not depend on the steps in which the bytes arrived', async () => {
  const { bytes, body, chunk } = await open();
  const expected = metadataFor(chunk, body);
  fc.assert(
    fc.property(fc.array(fc.nat(LENGTH_BYTES), { maxLength: 20 }), (steps) => {
      const hasher = new ChunkHasher(chunk);
      for (const to of [...steps.toSorted((a, b) => a - b), LENGTH_BYTES]) hasher.advance(bytes, to);
      expect(hasher.finish()).toEqual(expected);
    }),
    { numRuns: 20 },
  );
});

test('an incomplete chunk has no metadata', async () => {
  const { bytes, chunk } = await open();
  const hasher = new ChunkHasher(chunk);
  hasher.advance(bytes, LENGTH_BYTES - 1);
  expect(() => hasher.finish()).toThrow(expect.objectContaining({ code: 'internal' }));
});
