import { expect, test } from 'vitest';
import { ChunkBytes } from '#cache/engine/memory/chunk-bytes.ts';
import { viewOrCopy } from '#cache/engine/streams/view-or-copy.ts';
import { SMALL_SEGMENT_BYTES } from '#cache/engine/memory/lease.ts';
import { ChunkMemory } from '#cache/engine/memory/chunk-memory.ts';
import { ReaderPace } from '#cache/engine/streams/reader-pace.ts';
import { MIB, patternBytes } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

async function chunkIn(budgetMib: number) {
  const memory = new ChunkMemory({ budgetBytes: budgetMib * MIB, clock: fakeClock(), poison: true });
  const lease = await memory.lease(4 * MIB, 'fill', 'new', new AbortController().signal);
  const chunk = new ChunkBytes(lease, 4 * MIB);
  const body = patternBytes(4 * MIB);
  for (let at = 0; at < body.length;) {
    const view = chunk.view(at, body.length);
    view.set(body.subarray(at, at + view.length));
    at += view.length;
  }
  return { memory, chunk, body };
}

test('while memory is plentiful, a reader gets views, which keep their segment', async () => {
  const { memory, chunk, body } = await chunkIn(16);
  const piece = viewOrCopy(memory, new ReaderPace())(chunk, 100, 4 * MIB, 'memory');
  expect(piece.bytes.length).toBe(MIB - 100);
  chunk.drop();
  expect(memory.usedBytes).toBe(MIB);
  expect(body.subarray(100, MIB).equals(piece.bytes)).toBe(true);
  piece.release();
  expect(memory.usedBytes).toBe(0);
});

test.for(['memory is short', 'the reader is slow'])(
  'when %s, a reader gets copies, which keep no segment of the chunk',
  async (reason) => {
    const { memory, chunk, body } = await chunkIn(reason === 'memory is short' ? 5 : 16);
    const pace = new ReaderPace();
    if (reason === 'the reader is slow') pace.stalled();
    const makePiece = viewOrCopy(memory, pace);
    const pieces = [makePiece(chunk, 100, 4 * MIB, 'memory'), makePiece(chunk, MIB - 10, 4 * MIB, 'memory')];
    expect(pieces.map(({ bytes }) => bytes.length)).toEqual([SMALL_SEGMENT_BYTES, 10]);
    chunk.drop();
    expect(memory.usedBytes).toBe(2 * SMALL_SEGMENT_BYTES);
    expect(body.subarray(100, 100 + SMALL_SEGMENT_BYTES).equals(pieces[0]!.bytes)).toBe(true);
    expect(body.subarray(MIB - 10, MIB).equals(pieces[1]!.bytes)).toBe(true);
    for (const piece of pieces) piece.release();
    expect(memory.usedBytes).toBe(0);
  },
);

test('without memory for a copy, a reader gets a small view', async () => {
  const { memory, chunk } = await chunkIn(5);
  await memory.lease(MIB, 'window', 'new', new AbortController().signal);
  const piece = viewOrCopy(memory, undefined)(chunk, 0, 4 * MIB, 'memory');
  expect(piece.bytes.length).toBe(SMALL_SEGMENT_BYTES);
  expect(memory.usedBytes).toBe(5 * MIB);
  piece.release();
});
