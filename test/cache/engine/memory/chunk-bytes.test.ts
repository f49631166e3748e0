import { expect, test } from 'vitest';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

const LENGTH_BYTES = 2 * SEGMENT_BYTES + 100;

/** A filled chunk in three segments. */
async function open(onDrop?: () => void) {
  const memory = new ChunkMemory({ budgetBytes: 8 * SEGMENT_BYTES, clock: fakeClock(), poison: true });
  const lease = await memory.lease(LENGTH_BYTES, 'fill', 'new', new AbortController().signal);
  const bytes = new ChunkBytes(lease, LENGTH_BYTES, onDrop);
  const body = patternBytes(LENGTH_BYTES);
  for (let at = 0; at < LENGTH_BYTES;) {
    const view = bytes.view(at, LENGTH_BYTES);
    view.set(body.subarray(at, at + view.length));
    at += view.length;
  }
  return { memory, bytes, body };
}

test('views, pieces and copies end at the segment; `pieces` contains all bytes in order', async () => {
  const { bytes, body } = await open();
  expect(body.subarray(10, SEGMENT_BYTES).equals(bytes.view(10, LENGTH_BYTES))).toBe(true);
  const piece = bytes.piece(SEGMENT_BYTES - 5, LENGTH_BYTES, 'memory');
  expect(body.subarray(SEGMENT_BYTES - 5, SEGMENT_BYTES).equals(piece.bytes)).toBe(true);
  piece.release();
  const target = Buffer.alloc(200);
  expect(bytes.copyTo(2 * SEGMENT_BYTES + 50, target)).toBe(50);
  expect(target.subarray(0, 50).equals(body.subarray(2 * SEGMENT_BYTES + 50))).toBe(true);
  expect(Buffer.concat(bytes.pieces()).equals(body)).toBe(true);
});

test('a drop frees the memory once, except for segments that pieces still use', async () => {
  let drops = 0;
  const { memory, bytes, body } = await open(() => drops++);
  const piece = bytes.piece(0, 100, 'memory');
  bytes.drop();
  bytes.drop();
  expect([drops, bytes.isDropped, memory.usedBytes]).toEqual([1, true, SEGMENT_BYTES]);
  expect(body.subarray(0, 100).equals(piece.bytes)).toBe(true);
  expect(() => bytes.view(0, 1)).toThrow(expect.objectContaining({ code: 'internal' }));
  piece.release();
  expect(memory.usedBytes).toBe(0);
});
